/**
 * Shapes of what the page of storage asks for (docs/api.md), for the type checker.
 *
 * @typedef {object} Storage
 * @property {import("../../core/shapes.js").Disk} disk
 * @property {Array<{ name: string, stored_bytes: number, repositories: number, evictable_bytes: number, pinned_bytes: number }>} by_upstream
 * @property {Array<{ key: string, value: any, effective: number | null }>} rules
 * @property {{ time: string, freed_bytes: number, duration_ms: number } | null} last_sweep
 * @property {{ time: string, blobs: number, damaged: string[] } | null} last_verify
 *
 * @typedef {object} Pinned
 * @property {string} name
 * @property {string} reference
 * @property {string | null} digest
 * @property {number | null} own_bytes
 * @property {string | null} by
 * @property {string} since
 */
export {};

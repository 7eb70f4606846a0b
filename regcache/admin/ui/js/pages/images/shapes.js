/**
 * Shapes of what the API answers of images (docs/api.md).
 *
 * @typedef {object} PlatformSum
 * @property {string | null} platform
 * @property {number} here_bytes
 * @property {number | null} all_bytes
 * @property {number} complete_tags
 * @property {number} partial_tags
 *
 * @typedef {object} Repository
 * @property {string} name
 * @property {number} tags
 * @property {PlatformSum[]} platforms
 * @property {number} absent_platforms
 * @property {number} stored_bytes
 * @property {number | null} own_bytes
 * @property {number | null} shared_bytes
 * @property {number | null} pulls_30d
 * @property {number[] | null} pulls_series
 * @property {string | null} last_used
 * @property {number} pinned_tags
 * @property {{ since: string, reason: string } | null} [upstream_closed]
 *
 * @typedef {{ time: string, how: "deleted" | "swept", by: string | null }} Gone
 *
 * @typedef {object} Platform
 * @property {string | null} platform
 * @property {string | null} variant
 * @property {string} digest
 * @property {boolean} manifest_here
 * @property {boolean | null} config_here
 * @property {number} layers_here
 * @property {number | null} layers
 * @property {number} here_bytes
 * @property {number | null} all_bytes
 * @property {boolean} complete
 * @property {string | null} last_used
 *
 * @typedef {object} TagRow
 * @property {string[]} tags
 * @property {string} digest
 * @property {string | null} media_type
 * @property {Platform[]} platforms
 * @property {number | null} frees_bytes
 * @property {string | null} checked
 * @property {string | null} fresh_until
 * @property {string | null} last_used
 * @property {boolean} pinned
 *
 * @typedef {object} Image
 * @property {string} name
 * @property {string} reference
 * @property {string} digest
 * @property {string | null} media_type
 * @property {string[]} tags_same_digest
 * @property {{ docker: string, by_digest: string }} pull
 * @property {Platform[]} platforms
 * @property {Array<{ kind: string, count: number, here: number }>} attached
 * @property {number} stored_bytes
 * @property {number | null} own_bytes
 * @property {number | null} shared_bytes
 * @property {number | null} shared_with
 * @property {string | null} first_fetched
 * @property {string | null} fetched_by
 * @property {string | null} last_used
 * @property {number | null} pulls_30d
 * @property {string | null} checked
 * @property {string | null} fresh_until
 * @property {{ by: string, since: string | null } | null} pinned
 * @property {Gone | null} gone when all of it left
 *
 * @typedef {object} Step
 * @property {string | null} created_by
 * @property {string | null} created
 * @property {boolean} empty
 * @property {{ digest: string, media_type: string | null, size_bytes: number | null, here_bytes: number, used_by: number | null } | null} layer
 *
 * @typedef {object} PlatformDetails
 * @property {{ created: string | null, author: string | null, user: string | null, workdir: string | null, entrypoint: string[], cmd: string[], env: string[], ports: string[], volumes: string[] } | null} config
 * @property {Array<{ key: string, value: string }>} labels
 * @property {Step[]} steps
 */
export {};

/**
 * Shapes of what the API answers (docs/api.md), for the type checker.
 *
 * @typedef {{ level: "ok" | "warn" | "bad", code: string, params: Record<string, any> }} Verdict
 * @typedef {Verdict & { link: string | null }} Notice
 *
 * @typedef {object} Disk
 * @property {number} used_bytes
 * @property {number | null} limit_bytes
 * @property {number | null} pinned_bytes
 * @property {Array<{ to_days: number | null, bytes: number }> | null} by_age
 * @property {number | null} evictable_bytes
 * @property {number | null} partial_bytes
 * @property {number | null} fs_free_bytes
 * @property {number | null} full_in_days
 * @property {string | null} next_sweep
 * @property {string | null} relaying_since
 *
 * @typedef {object} Status
 * @property {string} version
 * @property {string} title
 * @property {string} started
 * @property {Verdict} verdict
 * @property {Notice[]} notices
 * @property {{ requests: number | null, failed: number | null, first_byte_p50_ms: number | null }} hour
 * @property {Disk} disk
 * @property {{ repositories: number | null, tags: number | null, blobs: number | null, downloads: number, readers: number, upstreams_ill: number }} counts
 *
 * @typedef {object} History
 * @property {number} step_ms
 * @property {string} start
 * @property {Array<number | null>} served_bytes
 * @property {Array<number | null>} fetched_bytes
 * @property {Array<number | null>} requests
 * @property {Array<number | null>} hits
 * @property {Array<number | null>} failed
 * @property {Array<number | null>} disk_bytes
 *
 * @typedef {object} Upstream
 * @property {string} name
 * @property {string[]} aliases
 * @property {"ok" | "slow" | "limited" | "down" | "unasked"} state
 * @property {string | null} since
 * @property {number | null} answer_p50_ms
 * @property {Array<number | null> | null} answer_series_ms
 * @property {string | null} account
 * @property {boolean | null} credentials_ok
 * @property {{ limit: number | null, remaining: number, resets: string | null } | null} ratelimit
 * @property {number | null} hit_ratio_7d
 * @property {number | null} served_bytes_7d
 * @property {number | null} fetched_bytes_7d
 * @property {number | null} stored_bytes
 * @property {number | null} repositories
 * @property {number} downloads
 * @property {number} max_downloads
 * @property {Array<any>} urls
 *
 * @typedef {object} Transfer
 * @property {string} digest
 * @property {string[]} names
 * @property {{ index: number, of: number } | null} part
 * @property {number | null} size_bytes
 * @property {number} here_bytes
 * @property {Array<[number, number]>} intervals
 * @property {"running" | "waiting" | "verifying" | "parked"} state
 * @property {number | null} rate_bytes_per_s
 * @property {string | null} host
 * @property {string} started
 * @property {Array<{ principal: string | null, request: string | null }>} readers
 *
 * @typedef {object} RequestItem
 * @property {string} id
 * @property {string} time
 * @property {string | null} principal
 * @property {string | null} address
 * @property {string | null} agent
 * @property {string} method
 * @property {string | null} upstream
 * @property {string | null} repository
 * @property {string | null} reference
 * @property {string | null} digest
 * @property {{ index: number, of: number } | null} part
 * @property {string} kind
 * @property {number | null} status
 * @property {string | null} outcome
 * @property {boolean} slow
 * @property {boolean} failed
 * @property {{ code: string, params: Record<string, any> } | null} verdict
 * @property {number} sent_bytes
 * @property {number | null} first_byte_ms
 * @property {number} duration_ms
 * @property {boolean} open
 *
 * @typedef {{ phase: string, start_ms: number, duration_ms: number, host: string | null }} Phase
 *
 * @typedef {object} RequestDetails
 * @property {string | null} cache_status
 * @property {string | null} error
 * @property {string[]} hosts
 * @property {Phase[] | null} phases
 * @property {{ upstream_ms: number, client_ms: number, disk_ms: number } | null} waits
 * @property {{ step_ms: number, bytes: number[] } | null} samples
 * @property {number | null} median_bytes_per_s_7d
 * @property {Array<{ at_ms: number, kind: string, offset_bytes: number | null, text: string | null }> | null} events
 * @property {{ name: string, reference: string, platform: string | null } | null} image
 *
 * @typedef {RequestItem & RequestDetails} OpenedRequest
 *
 * @typedef {object} Top
 * @property {string} name
 * @property {number} served_bytes
 * @property {number} fetched_bytes
 * @property {number} pulls
 * @property {number | null} hit_ratio
 */
export {};

/**
 * Shapes of what the page of accounts asks for (docs/api.md), for the type checker.
 *
 * @typedef {{ daily_bytes: number | null, monthly_bytes: number | null }} Share
 *
 * @typedef {object} Seat
 * @property {string} name
 * @property {boolean} password
 * @property {Array<{ key: string, name: string, until: string | null }>} keys
 * @property {boolean} knock
 * @property {string[]} certificates
 * @property {boolean} host
 * @property {string | null} until
 * @property {string | null} ended
 * @property {boolean} has_ended
 * @property {number | null} daily
 * @property {number | null} monthly
 * @property {number | null} rate
 * @property {number | null} downloads
 * @property {string[] | null} upstreams
 * @property {string} note
 * @property {Share} used
 * @property {Share} left
 * @property {Array<{ address: string, until: string }>} addresses
 *
 * @typedef {{ seat: Seat, page: string, key: string | null, warnings: string[] }} Made
 *
 * @typedef {object} UsageRow
 * @property {string} day
 * @property {string} account
 * @property {string | null} address_class
 * @property {number} requests
 * @property {number} pulls
 * @property {number} served_bytes
 * @property {number} fetched_bytes
 * @property {number} refused
 */
export {};

/**
 * The class of an error: what went wrong in ten words that a query can ask for. Read off the HTTP status that an error
 * carries, else its code, else its name, else the error that caused it. docs/instrument.md publishes this table.
 */

import type { ErrorClass } from './event.ts'

interface ErrorClassRow {
  readonly class: ErrorClass
  /** Of HTTP; ranges are of both ends. */
  readonly statuses?: readonly (number | readonly [from: number, to: number])[]
  /** Codes of Node.js and undici; `*` stands for any end. */
  readonly codes?: readonly string[]
  /** Names of exceptions. */
  readonly names?: readonly string[]
}

/** The first row that fits counts. */
export const errorClassRows: readonly ErrorClassRow[] = [
  { class: 'auth_failure', statuses: [401, 403, 407], codes: ['EACCES', 'EPERM'], names: ['AuthenticationError'] },
  { class: 'not_found', statuses: [404, 410], codes: ['ENOENT'], names: ['NotFoundError'] },
  {
    class: 'timeout',
    statuses: [408, 504],
    codes: [
      'ETIMEDOUT',
      'ESOCKETTIMEDOUT',
      'UND_ERR_CONNECT_TIMEOUT',
      'UND_ERR_HEADERS_TIMEOUT',
      'UND_ERR_BODY_TIMEOUT',
    ],
    names: ['TimeoutError'],
  },
  { class: 'conflict', statuses: [409, 412, 423], codes: ['EEXIST'], names: ['ConflictError'] },
  { class: 'rate_limit', statuses: [429], names: ['RateLimitError'] },
  { class: 'cancelled', statuses: [499], codes: ['ABORT_ERR', 'ERR_CANCELED'], names: ['AbortError', 'CanceledError'] },
  {
    class: 'validation',
    statuses: [[400, 499]],
    codes: ['ERR_INVALID_*'],
    names: ['ValidationError', 'ZodError', 'SyntaxError'],
  },
  { class: 'server_error', statuses: [[500, 599]] },
  {
    class: 'network_error',
    codes: [
      'ECONNREFUSED',
      'ECONNRESET',
      'ECONNABORTED',
      'ENOTFOUND',
      'EAI_*',
      'EPIPE',
      'EHOSTUNREACH',
      'ENETUNREACH',
      'UND_ERR_SOCKET',
      'ERR_TLS_*',
      'CERT_*',
      'DEPTH_ZERO_SELF_SIGNED_CERT',
      'SELF_SIGNED_CERT_IN_CHAIN',
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    ],
    names: ['NetworkError'],
  },
]

/** How many causes are followed. */
const causesMax = 4

/** The class of anything thrown; `unknown` where nothing tells it. Never throws. */
export function classifyError(thrown: unknown): ErrorClass {
  try {
    let error = thrown
    for (let cause = 0; cause <= causesMax && typeof error === 'object' && error !== null; cause++) {
      const { status, statusCode, code, name } = error as Readonly<Record<string, unknown>>
      const found = classifyStatus(status) ?? classifyStatus(statusCode) ?? classOfCode(code) ?? classOfName(name)
      if (found !== undefined) return found
      error = (error as { readonly cause?: unknown }).cause
    }
  } catch {
    // a getter threw: nothing tells the class
  }
  return 'unknown'
}

/** The class of an HTTP status; `undefined` where it is no error. */
export function classifyStatus(status: unknown): ErrorClass | undefined {
  if (typeof status !== 'number') return undefined
  const isIn = (one: number | readonly [from: number, to: number]): boolean =>
    typeof one === 'number' ? one === status : status >= one[0] && status <= one[1]
  return errorClassRows.find(({ statuses = [] }) => statuses.some(isIn))?.class
}

function classOfCode(code: unknown): ErrorClass | undefined {
  if (typeof code !== 'string') return undefined
  const isOf = (one: string): boolean => (one.endsWith('*') ? code.startsWith(one.slice(0, -1)) : code === one)
  return errorClassRows.find(({ codes = [] }) => codes.some(isOf))?.class
}

function classOfName(name: unknown): ErrorClass | undefined {
  return errorClassRows.find(({ names = [] }) => names.some((one) => one === name))?.class
}

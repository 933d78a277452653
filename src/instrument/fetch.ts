/**
 * `fetch` as instrumented clients use it: within a call of such a client it notes attempts, status and the template of
 * the URL for the one record of the call; elsewhere each request is a call of its own and makes a record.
 */

import { CallUnderWay, callUnderWay, type RequestSketch, runCall } from './call.ts'
import type { CallCoverage } from './coverage.ts'
import type { Emits } from './emits.ts'

export interface AuditFetchOptions {
  /** What sends the requests. Default: the global one. */
  readonly fetch?: typeof globalThis.fetch | undefined
  /** Of requests outside of an instrumented client. Default `http.request`. */
  readonly action?: string | undefined
  /** The template of a URL. Default: `templateOf`. */
  readonly template?: ((url: URL) => string) | undefined
  readonly coverage?: CallCoverage | undefined
}

/** A `fetch` whose requests are recorded. What it returns and throws is untouched. */
export function auditFetch(audit: Emits, options: AuditFetchOptions = {}): typeof globalThis.fetch {
  const { fetch = globalThis.fetch, action = 'http.request', template = templateOf, coverage } = options
  const send: typeof fetch = async (input, init) => {
    const call = callUnderWay()
    call?.noteAttempt(sketch(input, init, template))
    const response = await fetch(input, init)
    call?.noteStatus(response.status)
    return response
  }
  return async (input, init) => {
    if (callUnderWay() !== undefined) return send(input, init)
    const call = new CallUnderWay()
    const end = (failure?: { readonly thrown: unknown }) => {
      const receipt = call.end(audit, event, failure)
      coverage?.note(action, receipt)
    }
    const event = { action, target: { resource_type: 'http', id: originOf(input) } }
    try {
      const response = await runCall(call, () => send(input, init))
      end()
      return response
    } catch (thrown) {
      end({ thrown })
      throw thrown
    }
  }
}

/** Numbers, UUIDs, long hexadecimal or mixed segments, and everything percent-encoded, become `:id`; no query is left. */
export function templateOf(url: URL): string {
  const segments = url.pathname.split('/').map((segment) => (isIdentifier(segment) ? ':id' : segment))
  return `${url.origin}${segments.join('/')}`
}

const identifiers = /^(?:\d+|[\da-f]{8,}|[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}|.*%.*|(?=.*\d)[\w.~-]{16,}|.{40,})$/i

function isIdentifier(segment: string): boolean {
  return identifiers.test(segment)
}

type FetchInput = Parameters<typeof globalThis.fetch>[0]

function sketch(input: FetchInput, init: RequestInit | undefined, template: (url: URL) => string): RequestSketch {
  const method = init?.method ?? (input instanceof Request ? input.method : 'GET')
  return { method: method.toUpperCase(), url: describeUrl(input, template) }
}

function describeUrl(input: FetchInput, describe: (url: URL) => string): string {
  try {
    return describe(new URL(input instanceof Request ? input.url : input))
  } catch {
    return 'invalid' // fetch will say so
  }
}

function originOf(input: FetchInput): string {
  return describeUrl(input, ({ origin }) => origin)
}

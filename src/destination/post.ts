/**
 * One HTTP POST and its whole answer, or the reason why there is none. Always holds: the promise settles within
 * `timeoutMs` and at once when the signal aborts, and nothing of the request is left behind then. It follows no
 * redirect, repeats nothing, and judges no status: destinations do that.
 */

import http from 'node:http'
import https from 'node:https'
import { promisify } from 'node:util'
import zlib from 'node:zlib'
import { attempt } from './attempt.ts'

/** Longest answer that is read, in bytes; a peer that sends more is not the one we mean. */
const answerBytesMax = 4 * 2 ** 20
/** Most characters of an answer that a reason quotes. */
const excerptLengthMax = 300

const gzip = promisify(zlib.gzip)

export interface PostTarget {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly agent: http.Agent | https.Agent
  readonly compression: 'gzip' | 'none'
  /** From the first byte out to the last byte in, in milliseconds. */
  readonly timeoutMs: number
}

export interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: Buffer
}

/** Sends `body` once. Rejects for whatever prevents a complete answer: connection, timeout, abort, excess. */
export async function post(target: PostTarget, body: Uint8Array, signal: AbortSignal): Promise<Answer> {
  return attempt({ signal, timeoutMs: target.timeoutMs }, async (limited) => {
    const response = await open(target, target.compression === 'gzip' ? await gzip(body) : body, limited)
    return { status: response.statusCode ?? 0, headers: response.headers, body: await readAnswer(response) }
  })
}

function open(target: PostTarget, body: Uint8Array, signal: AbortSignal): Promise<http.IncomingMessage> {
  const headers: Record<string, string> = { ...target.headers }
  if (target.compression === 'gzip') headers['Content-Encoding'] = 'gzip'
  const request = target.url.protocol === 'https:' ? https.request : http.request
  return new Promise((resolve, reject) => {
    request(target.url, { method: 'POST', headers, agent: target.agent, signal })
      .on('response', resolve)
      .on('error', reject)
      .end(body)
  })
}

async function readAnswer(response: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length
    // Leaving the loop destroys the response, and with it the connection.
    if (length > answerBytesMax) throw new Error(`an answer of more than ${answerBytesMax} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Milliseconds that a `Retry-After` header asks for (RFC 9110 section 10.2.3): seconds, or a date. */
export function parseRetryAfter(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined
  if (/^\d+$/.test(header)) return Number(header) * 1_000
  const date = Date.parse(header)
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs)
}

/** The status and the readable part of the body; an error in protobuf leaves its text. */
export function describeAnswer(status: number, body: Buffer): string {
  const text = body
    .toString('utf8')
    .replace(/[\p{C}\uFFFD]+/gu, ' ')
    .trim()
  if (text === '') return `HTTP ${status}`
  return `HTTP ${status}: ${text.length > excerptLengthMax ? `${text.slice(0, excerptLengthMax)}…` : text}`
}

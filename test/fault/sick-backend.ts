/** An OTLP backend that keeps the records of the requests it accepts, and is told how to misbehave. */

import { EventEmitter, once } from 'node:events'
import { answer, type ReceivedRequest, type Respond, startOtlpBackend } from '../support/otlp-backend.ts'
import type { Lab } from './lab.ts'
import { parseLines, type TrailRecord } from './trail.ts'

export interface SickBackend {
  readonly url: string
  /** Records of the accepted requests, in order, as often as they came. */
  readonly kept: readonly TrailRecord[]
  /** How many requests were not answered with success. */
  readonly failed: () => number
  /** Records that it has rejected by partial success. */
  readonly rejected: readonly TrailRecord[]
  /** Answers every request so from now on; `undefined`: accepts. */
  fail(how: Respond | undefined): void
  /** Resolves with the next request in hand, which is never answered; `isKept`: its records arrive all the same. */
  hold(isKept: boolean): Promise<void>
  /** Rejects so many records at the end of each request by partial success; 0 for none. */
  rejectLast(records: number): void
  untilKept(more: number): Promise<void>
  untilFailed(more: number): Promise<void>
}

/** How long a test waits for what must come: longer than any pause between two tries. */
const patienceMs = 90_000

/** Records stand as they are in a request, whatever its encoding but JSON: members are sorted, `v` is the last. */
const recordTexts = /\{"action":.*?"v":"1"\}/gs

function recordsOf({ body }: ReceivedRequest): TrailRecord[] {
  const texts = [...body.toString('latin1').matchAll(recordTexts)].map(([text]) => text)
  return parseLines(texts.map((text) => `${Buffer.from(text, 'latin1')}\n`).join(''))
}

export async function startSickBackend(lab: Lab): Promise<SickBackend> {
  const backend = await startOtlpBackend()
  lab.onDispose(() => backend.close())
  const news = new EventEmitter().setMaxListeners(0)
  const kept: TrailRecord[] = []
  const accept = answer(200)
  let failed = 0
  let rejecting = 0
  const rejected: TrailRecord[] = []
  let failing: Respond | undefined
  let holding: { isKept: boolean; resolve: () => void } | undefined
  backend.respond = (response, request) => {
    backend.requests.length = 0
    const records = recordsOf(request)
    const held = holding
    holding = undefined
    if (held !== undefined || failing !== undefined) failed += 1
    else {
      kept.push(...records.slice(0, records.length - rejecting))
      rejected.push(...records.slice(records.length - rejecting))
    }
    if (held?.isKept) kept.push(...records)
    news.emit('request')
    if (held !== undefined) held.resolve()
    else if (failing !== undefined) failing(response, request)
    else if (rejecting > 0)
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end(partial(rejecting))
    else accept(response, request)
  }
  const until = async (count: () => number, more: number) => {
    const wanted = count() + more
    const limit = AbortSignal.timeout(patienceMs)
    while (count() < wanted) {
      await once(news, 'request', { signal: limit }).catch(() => {
        throw new Error(`${wanted - count()} of ${more} did not come within ${patienceMs / 1_000} s`)
      })
    }
  }
  return {
    url: backend.url,
    kept,
    failed: () => failed,
    rejected,
    fail: (how) => {
      failing = how
    },
    hold(isKept) {
      const { promise, resolve } = Promise.withResolvers<void>()
      holding = { isKept, resolve }
      return promise
    },
    rejectLast: (records) => {
      rejecting = records
    },
    untilKept: (more) => until(() => kept.length, more),
    untilFailed: (more) => until(() => failed, more),
  }
}

/** ExportLogsServiceResponse {partial_success {rejected_log_records, error_message}}; fewer than 128. */
function partial(rejected: number): Buffer {
  const message = Buffer.from('not these')
  const inner = Buffer.from([0x08, rejected, 0x12, message.length, ...message])
  return Buffer.from([0x0a, inner.length, ...inner])
}

/** An OTLP backend that a test switches off and on; keeps the records of the requests that it answered with 200. */

import { answer, type OtlpBackend, startOtlpBackend } from '../support/otlp-backend.ts'
import type { Lab } from './lab.ts'

export interface SwitchedBackend {
  readonly url: string
  /** Answers 503 from now on, 200, or nothing at all. */
  turn(how: 'off' | 'on' | 'silent'): void
  /** Numbers of the records in the order in which requests were accepted. */
  readonly accepted: { stream: string; sequence: number }[]
  /** How many requests were refused. */
  readonly refused: () => number
  /** Until so many different records were. */
  readonly untilAccepted: (count: number) => Promise<void>
}

/** Record texts stand as they are in a request, whatever its encoding but JSON; members are sorted: seq before stream. */
const numbers = /"seq":(\d+),[^{}]*?"stream":"([0-9a-f-]{36})"/g

export async function startBackend(lab: Lab, how: 'off' | 'on' | 'silent' = 'on'): Promise<SwitchedBackend> {
  const accepted: SwitchedBackend['accepted'] = []
  const distinct = new Set<string>()
  let refused = 0
  let waiting: { count: number; resolve: () => void }[] = []
  const backend: OtlpBackend = await startOtlpBackend()
  lab.onDispose(() => backend.close())
  const accept = answer(200)
  const refuse = answer(503)
  const turn = (to: 'off' | 'on' | 'silent'): void => {
    backend.respond = (response, request) => {
      backend.requests.length = 0
      if (to === 'silent') return
      if (to === 'off') {
        refused += 1
        refuse(response, request)
        return
      }
      for (const [, sequence, stream = ''] of request.body.toString('latin1').matchAll(numbers)) {
        accepted.push({ stream, sequence: Number(sequence) })
        distinct.add(`${stream}/${sequence}`)
      }
      accept(response, request)
      for (const { resolve } of waiting.filter(({ count }) => distinct.size >= count)) resolve()
      waiting = waiting.filter(({ count }) => distinct.size < count)
    }
  }
  turn(how)
  const untilAccepted = (count: number): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>()
    if (distinct.size >= count) resolve()
    else waiting.push({ count, resolve })
    return promise
  }
  return { url: backend.url, turn, accepted, refused: () => refused, untilAccepted }
}

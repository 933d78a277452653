/**
 * What a trail does when a destination holds other records of its stream than it does: it begins a new stream, once,
 * says so, and seals what delivery has set aside. Always holds: such a fact goes into the stream that follows, as long
 * as one can begin, because in the forked one it would only be set aside itself.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import type { DestinationFact } from '../destination/destination.ts'
import type { JsonObject } from '../event/canonical.ts'
import type { ControlFact } from '../event/record.ts'
import type { AheadRecord } from '../forward/ahead.ts'
import type { DeliveryFact, QuarantineFact } from '../forward/quarantine.ts'
import type { RecordNumber } from '../spool/cursor.ts'
import { announce } from './notice.ts'

/** How long a fact waits for the next stream, in milliseconds, and how often it looks. */
const leaving = { msMax: 1_000, lookMs: 10 }

/** What is asked of the sealer. */
export interface ForkSealer {
  readonly head: RecordNumber
  /** `ahead`: what the destination holds, to be sealed with the new stream's beginning. */
  startStream(reason: 'ahead', ahead?: JsonObject): void
  /** Goes over to the stream that was asked for, if it is ready. */
  proceed(): void
  sealFact(fact: ControlFact): boolean
}

export interface ForksParts {
  readonly sealer: ForkSealer
  /** Resolves when this record survives power loss. */
  readonly durable: (record: RecordNumber) => Promise<void>
  /** The end of the stream is sealed: nothing may follow it. */
  readonly isClosing: () => boolean
  readonly say?: (text: string) => void
}

export class Forks {
  readonly #parts: ForksParts
  readonly #say: (text: string) => void
  /** Streams, and streams of destinations, that something was said about. */
  readonly #said = new Set<string>()

  constructor(parts: ForksParts) {
    this.#parts = parts
    this.#say = parts.say ?? announce
  }

  /** A destination is ahead of a stream; of one that has ended already it means nothing any more. */
  hearAhead(name: string, found: AheadRecord): void {
    const { sealer } = this.#parts
    if (found.stream !== sealer.head.stream) return
    this.#sayOnce(found.stream, aheadText(name, found))
    const { sequence: seq, hash } = found
    sealer.startStream('ahead', hash === undefined ? undefined : { destination: name, seq, hash })
  }

  /** Seals what delivery tells of; resolves to whether that is durable. */
  async seal(fact: DeliveryFact): Promise<boolean> {
    const { sealer, durable, isClosing } = this.#parts
    const { type, details } = fact
    const isForked = type === 'audit.quarantined' && fact.kind === 'forked'
    if (isForked) await this.#leave(fact.stream)
    if (isClosing() || !sealer.sealFact({ type, details })) return false
    if (isForked) this.#sayOnce(`${details.destination} ${fact.stream}`, forkedText(fact))
    else this.#say(textOf(fact))
    const { head } = sealer
    return durable(head).then(
      () => true,
      () => false, // the spool says itself why; delivery asks again
    )
  }

  /** Seals what was done to a trail from here; its place once it is durable, `undefined` when it cannot be. */
  async sealOperation(fact: ControlFact): Promise<RecordNumber | undefined> {
    const { sealer, durable, isClosing } = this.#parts
    if (isClosing() || !sealer.sealFact(fact)) return undefined
    const { head } = sealer
    return durable(head).then(
      () => head,
      () => undefined, // the spool says itself why; whoever asked asks again
    )
  }

  /** Out of this stream, if it is still written; a disk that has no room for the next stream is not waited for. */
  async #leave(stream: string): Promise<void> {
    const { sealer, isClosing } = this.#parts
    for (let waitedMs = 0; waitedMs < leaving.msMax && !isClosing(); waitedMs += leaving.lookMs) {
      if (sealer.head.stream !== stream) return
      sealer.startStream('ahead')
      sealer.proceed()
      await sleep(leaving.lookMs, undefined, { ref: false })
    }
  }

  #sayOnce(about: string, text: string): void {
    if (this.#said.has(about)) return
    this.#said.add(about)
    this.#say(text)
  }
}

function forkedText({ stream, details: { destination, seq, to = seq } }: QuarantineFact): string {
  const range = seq === to ? `record ${seq}` : `records ${seq} to ${to} and what follows`
  const where = 'quarantine/forked of the spool directory'
  return `destination ${destination} holds others in the place of ${range} of stream ${stream}: nothing there was changed, ours lie in ${where}`
}

function textOf(fact: DeliveryFact): string {
  if (!('kind' in fact)) return destinationText(fact)
  return fact.type === 'audit.quarantined' ? poisonText(fact) : resolvedText(fact)
}

function destinationText({ type, details }: DestinationFact): string {
  const { destination, file, stream, seq, from, to, count, operator } = details
  if (type === 'audit.file.deleted') return `destination ${destination} deletes ${file}, as its maxBackups says`
  if (type === 'audit.gap')
    return `destination ${destination} will never get records ${from} to ${to} of stream ${stream}: it lost them, and the spool has them no more`
  if (type === 'audit.destination.resent')
    return `${count} records were sent to destination ${destination} again, as ${operator} asked`
  const held = stream === undefined ? 'nothing of what it had' : `stream ${stream} up to ${seq}`
  return `destination ${destination} is an older copy of itself and holds ${held}: what it lacks is sent again`
}

function poisonText({ stream, details: { destination, seq, reason } }: QuarantineFact): string {
  const where = 'quarantine/poison of the spool directory (otel-audit quarantine list)'
  return `destination ${destination} refuses record ${seq} of stream ${stream} by itself (${reason}): it lies in ${where}`
}

function resolvedText({ stream, details: { destination, seq, resolution, operator } }: QuarantineFact): string {
  return `record ${seq} of stream ${stream}, which ${destination} had refused, is ${resolution}, as ${operator} asked`
}

function aheadText(name: string, { stream, sequence, own }: AheadRecord): string {
  const held = sequence > own ? `record ${sequence} of stream ${stream}, of which this spool has ${own}` : undefined
  return (
    `destination ${name} holds ${held ?? `another record ${sequence} of stream ${stream} than this spool`}: the spool ` +
    'was restored from an older copy, or a copy of it runs elsewhere. A new stream begins; records of this one that ' +
    'contradict the destination are set aside (docs/operations.md)'
  )
}

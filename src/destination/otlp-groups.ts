/**
 * Which encoded log records of a request belong to which resource: one envelope a resource, each with its records in
 * their order. The records stay where they were written until the request is made.
 */

import type { JsonObject } from '../event/canonical.ts'
import { type FlatProjection, slots } from '../event/flat-projection.ts'
import { createResource, type Resource, resourceKey } from './otlp-resource.ts'

/** A place in what was written: neighbouring log records. */
export interface RecordRun {
  readonly start: number
  end: number
}

export interface RecordGroup<Envelope> {
  /** What the encoder has made of the resource. */
  readonly envelope: Envelope
  readonly runs: readonly RecordRun[]
}

interface OpenGroup<Envelope> extends RecordGroup<Envelope> {
  readonly runs: RecordRun[]
}

export class RecordGroups<Envelope> {
  readonly #encode: (resource: Resource) => Envelope
  readonly #groups = new Map<string, OpenGroup<Envelope>>()
  /** By the text of the members, so that they are parsed once. */
  readonly #byText = new Map<string, OpenGroup<Envelope>>()

  constructor(encode: (resource: Resource) => Envelope) {
    this.#encode = encode
  }

  /** Notes where the log record of a projection was written. */
  add(flat: FlatProjection, start: number, end: number): void {
    const text = membersText(flat)
    const { runs } = this.#byText.get(text) ?? this.#open(flat, text)
    const last = runs.at(-1)
    if (last?.end === start) last.end = end
    else runs.push({ start, end })
  }

  /** In the order of their first records. */
  list(): RecordGroup<Envelope>[] {
    return [...this.#groups.values()]
  }

  #open({ places }: FlatProjection, text: string): OpenGroup<Envelope> {
    const utf8 = (slot: number) => places.source.toString('utf8', places.start(slot), places.end(slot))
    const service = places.isAbsent(slots.service) ? undefined : utf8(slots.service)
    const rest = places.isAbsent(slots.resource) ? undefined : (JSON.parse(utf8(slots.resource)) as JsonObject)
    const key = resourceKey(service, rest)
    const group = this.#groups.get(key) ?? { envelope: this.#encode(createResource(service, rest)), runs: [] }
    this.#groups.set(key, group)
    this.#byText.set(text, group)
    return group
  }
}

/** Both members as they stand: an object ends itself, and what follows its end is the service. */
function membersText({ places }: FlatProjection): string {
  const textAt = (slot: number) => places.source.toString('latin1', places.start(slot), places.end(slot))
  const resource = places.isAbsent(slots.resource) ? '' : textAt(slots.resource)
  return places.isAbsent(slots.service) ? resource : `${resource}"${textAt(slots.service)}`
}

/** What the tests of failovers have in common: transactions that go on, an export that goes on, and what they leave. */

import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { convertEvent } from '../../src/event/convert.ts'
import { JournalDelivery } from '../../src/forward/journal.ts'
import { createConnection } from '../../src/postgres/client.ts'
import { encodeEnlisted } from '../../src/postgres/enlisted.ts'
import { insertEvent } from '../../src/postgres/outbox.ts'
import { SeenHeadFile } from '../../src/postgres/seen-head.ts'
import { Sequencing } from '../../src/postgres/sequencing.ts'
import { queryOnce } from './postgres.ts'
import { makeKeys } from './trail.ts'

export const keys = makeKeys('prod')

const waitMsMax = 60_000

/** Looks until something has come to be; rejects, saying what, when that takes a minute. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = AbortSignal.timeout(waitMsMax)
  while (!(await isSo())) {
    if (deadline.aborted) throw new Error(`a minute has passed without ${what}`)
    await pause(5)
  }
}

/** Puts events into the outbox, each in a transaction of its own; their ids. */
export async function emit(url: string, count: number): Promise<string[]> {
  const client = createConnection({ url })
  await client.open()
  const ids: string[] = []
  for (let at = 0; at < count; at += 1) {
    const id = randomUUID()
    await insertEvent(client, { id, event: encodeEnlisted(convertEvent({ action: 'session.create' })) })
    ids.push(id)
  }
  await client.end()
  return ids
}

/** Clients whose transactions go on while servers come and go behind the address. */
export class Traders {
  /** Whose commit has returned. */
  readonly acknowledged = new Set<string>()
  readonly #stopping = new AbortController()
  readonly #running: Promise<unknown>

  constructor(url: string, clients: number) {
    this.#running = Promise.all(Array.from({ length: clients }, () => this.#trade(url)))
  }

  async until(count: number): Promise<void> {
    await until(`${count} transactions`, () => this.acknowledged.size >= count)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async #trade(url: string): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const client = createConnection({ url, queryMsMax: 5_000 })
      try {
        await client.open()
        while (!this.#stopping.signal.aborted) await this.#commitOne(client)
      } catch {
        await pause(20) // the server is away: whether the last commit came through is not known
      } finally {
        client.destroy()
      }
    }
  }

  async #commitOne(client: ReturnType<typeof createConnection>): Promise<void> {
    const id = randomUUID()
    const event = encodeEnlisted(convertEvent({ action: 'session.create', operation: 'create' }))
    await client.query('begin')
    await insertEvent(client, { id, event })
    await client.query('commit')
    this.acknowledged.add(id)
  }
}

export interface ExportOptions {
  readonly directory: string
  /** Of the destination. */
  readonly name?: string
  /** `outbox.standbys` */
  readonly standbys?: number
}

/** Seals and exports to the file `audit.ndjson` of a directory, which also holds what this machine has seen. */
export class Export {
  readonly file: string
  readonly obstacles: (string | undefined)[] = []
  readonly #sequencing: Sequencing
  readonly #delivery: Promise<JournalDelivery>

  constructor(url: string, { directory, name = 'file', standbys }: ExportOptions) {
    this.file = path.join(directory, 'audit.ndjson')
    const seen = new SeenHeadFile(directory)
    const admit = (event: unknown) => convertEvent(event)
    this.#sequencing = new Sequencing({ url, signer: keys.signer, service: 'billing', admit, seen, standbys })
    this.#delivery = JournalDelivery.open({
      url,
      destinations: [{ type: 'file', name, path: this.file, flushIntervalMs: 5 }],
      sequencing: this.#sequencing,
      seen,
      standbys,
      listener: { changed() {}, quarantined() {}, obstructed: (_, reason) => void this.obstacles.push(reason) },
    })
  }

  get sequencer() {
    return this.#sequencing.state
  }

  async run(signal: AbortSignal): Promise<void> {
    await (await this.#delivery).run(signal)
  }

  /** Seals, signs and exports what is there. */
  async drain(): Promise<boolean> {
    return await (await this.#delivery).drain(AbortSignal.timeout(30_000))
  }
}

/** Runs until `stop`. */
export function inBackground(run: (signal: AbortSignal) => Promise<void>): { stop(): Promise<void> } {
  const stopping = new AbortController()
  const running = run(stopping.signal)
  return {
    async stop() {
      stopping.abort()
      await running
    },
  }
}

/** The records of a journal by place, as a database holds them. */
export async function storedIn(url: string): Promise<Map<string, string>> {
  const rows = await queryOnce(
    url,
    `select stream || ' ' || seq as place, convert_from(record, 'UTF8') as record
    from audit.record where stream in (select stream from audit.journal_stream)`,
  )
  return new Map(rows.map(({ place, record }) => [String(place), String(record)]))
}

/** Records by place, as they were exported. Throws where a place has two different ones. */
export function exportedIn(file: string): Map<string, string> {
  const places = new Map<string, string>()
  if (!existsSync(file)) return places
  for (const line of readFileSync(file, 'utf8').split('\n').slice(0, -1)) {
    const { stream, seq } = JSON.parse(line) as { stream: string; seq: number }
    const place = `${stream} ${seq}`
    if ((places.get(place) ?? line) !== line) throw new Error(`${place} was exported twice, and differs`)
    places.set(place, line)
  }
  return places
}

/** Where two copies hold the same place, they hold the same record; to how many places both hold. */
export function countAgreeing(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): number {
  let both = 0
  for (const [place, record] of one) {
    const held = other.get(place)
    if (held === undefined) continue
    if (held !== record) throw new Error(`${place} differs:\n${record}\n${held}`)
    both += 1
  }
  return both
}

/** The details of the facts of a type, in the order of sealing. */
export function factsIn(records: ReadonlyMap<string, string>, type: string): Record<string, unknown>[] {
  const facts = [...records.values()].map((record) => JSON.parse(record) as Record<string, unknown>)
  const own = facts.filter(({ action }) => action === type)
  own.sort((one, other) => (String(one.recorded) < String(other.recorded) ? -1 : 1))
  return own.map(({ details }) => details as Record<string, unknown>)
}

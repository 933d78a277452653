/**
 * One history: a spool written, synced, read by a destination, killed, cut off and reopened, at random from one seed,
 * and after every reopening held against what was promised. Throws an error that says which promise broke.
 */

import assert from 'node:assert/strict'
import type { Files } from '../../src/spool/files.ts'
import { Positions, type SpoolEnd } from '../../src/spool/positions.ts'
import { SpoolReader } from '../../src/spool/reader.ts'
import { type Recovered, recoverSpool } from '../../src/spool/recover.ts'
import { Syncer } from '../../src/spool/syncer.ts'
import { SpoolWriter } from '../../src/spool/writer.ts'
import { signer } from '../spool/harness.ts'
import { Dead, type DiskFaults, Random, SimDisk } from './disk.ts'

const directory = '/sim'
const segmentBytesMax = 8_192

export interface HistoryCounts {
  kills: number
  cuts: number
  recoveries: number
  written: number
  streams: number
}

/** What a destination was given, and what stands in the spool, by stream and sequence. */
type Contents = Map<string, string>

interface Incarnation {
  readonly recovered: Recovered
  readonly positions: Positions
  readonly writer: SpoolWriter
  readonly syncer: Syncer
}

export class History {
  readonly #random: Random
  readonly #disk: SimDisk
  readonly counts: HistoryCounts = { kills: 0, cuts: 0, recoveries: 0, written: 0, streams: 0 }
  /** Every record whose append returned, in order, of all incarnations. */
  #written: string[] = []
  /** How many of them were credited as durable. */
  #durable = 0
  /** The record whose append was under way when the process died: it may be there or not. */
  #underWay: string | undefined
  readonly #received: Contents = new Map()
  #boot = 1
  #name = 0

  constructor(seed: number, faults: DiskFaults = {}) {
    this.#random = new Random(seed)
    this.#disk = new SimDisk(this.#random, faults)
  }

  run(rounds = 4): HistoryCounts {
    for (let round = 0; round < rounds; round += 1) this.#live()
    return this.counts
  }

  /** One process, from its start to its end. */
  #live(): void {
    const dies = this.#random.chance(0.9)
    if (dies) this.#disk.dieAfter(1 + this.#random.below(120))
    try {
      const incarnation = this.#open()
      this.#work(incarnation)
      if (!dies) this.#close(incarnation)
    } catch (error) {
      if (!(error instanceof Dead)) throw error
    }
    this.#end()
  }

  #end(): void {
    const isCut = this.#random.chance(0.5)
    if (isCut) {
      this.#disk.cutPower()
      this.#boot += 1
      this.counts.cuts += 1
    } else {
      this.#disk.restart()
      this.counts.kills += 1
    }
    this.#check(isCut)
  }

  #open(): Incarnation {
    const { files } = this.#disk
    const recovered = recoverSpool(files, { directory, deployment: 'sim', bootId: `boot-${this.#boot}` })
    const { state, segment, superseded } = recovered
    const positions = new Positions()
    positions.reset(state.watermark)
    positions.setWaiting(true) // nobody lingers here
    const start = { segment, nextSequence: state.watermark.nextSequence, segmentBytesMax }
    const writer = new SpoolWriter(files, positions, start)
    const origin = `sim/${state.stream}`
    const syncing = { directory, memory: positions.memory, state, segment, superseded, origin, segmentBytesMax }
    const syncer = new Syncer(files, syncing, { signer, post: () => {} })
    this.#durable = this.#written.length // recovery made everything durable that it found
    return { recovered, positions, writer, syncer }
  }

  #work(incarnation: Incarnation): void {
    const steps = 5 + this.#random.below(40)
    for (let step = 0; step < steps; step += 1) {
      const dice = this.#random.below(10)
      if (dice < 6) this.#append(incarnation)
      else if (dice < 9) this.#sync(incarnation)
      else this.#deliver(incarnation)
    }
  }

  #append({ writer }: Incarnation): void {
    const name = `r${this.#name++}`
    this.#underWay = name
    const pad = 'x'.repeat(this.#random.chance(0.2) ? this.#random.below(2_500) : this.#random.below(120))
    writer.append(JSON.stringify({ name, pad, recorded: '2026-11-22T00:00:00.000000000Z' }), 0)
    this.#underWay = undefined
    this.#written.push(name)
    this.counts.written += 1
  }

  /** A round of the sync thread; while its syncs run, the application thread goes on. */
  #sync(incarnation: Incarnation): void {
    this.#disk.duringSync = () => {
      if (this.#random.chance(0.3)) this.#append(incarnation)
    }
    const base = this.#written.length - (incarnation.writer.end.nextSequence - 1)
    incarnation.syncer.cycle()
    this.#disk.duringSync = () => {}
    this.#durable = base + incarnation.positions.durable().nextSequence - 1
  }

  /** A destination takes what it may see. */
  #deliver({ positions }: Incarnation): void {
    for (const [place, name] of this.#read(this.#disk.files, () => positions.durable())) this.#receive(place, name)
  }

  #receive(place: string, name: string): void {
    const before = this.#received.get(place)
    assert.ok(before === undefined || before === name, `${place} was delivered as ${before}, then as ${name}`)
    this.#received.set(place, name)
  }

  #close({ positions, writer, syncer }: Incarnation): void {
    positions.requestFinish()
    syncer.cycle()
    writer.append('{"name":"checkpoint","recorded":"2026-11-22T00:00:00.000000000Z"}', 1)
    this.#written.push('checkpoint')
    positions.acknowledgeCheckpoint()
    positions.requestStop()
    syncer.run()
    this.#durable = this.#written.length
  }

  /** Recovers a copy of the disk, and holds what it finds against what was promised. */
  #check(wasCut: boolean): void {
    const { files } = this.#disk.copy()
    const { state } = recoverSpool(files, { directory, deployment: 'sim', bootId: `boot-${this.#boot}` })
    this.counts.recoveries += 1
    const { segment, offset, nextSequence } = state.watermark
    const found = this.#read(files, () => ({ segment, offset, nextSequence }))
    const names = [...found.values()]
    const promised = wasCut ? this.#durable : this.#written.length
    assert.ok(names.length >= promised, `${promised} records were promised, ${names.length} are there`)
    const possible = this.#underWay === undefined ? this.#written : [...this.#written, this.#underWay]
    assert.deepEqual(names, possible.slice(0, names.length), 'what is there is what was written, in order')
    for (const [place, name] of this.#received) assert.equal(found.get(place), name, `${place} was delivered`)
    this.#written = names
    if (wasCut) this.#durable = names.length // what a kill leaves in the page cache is not
    this.#underWay = undefined
  }

  #read(files: Files, limit: () => SpoolEnd): Contents {
    const reader = new SpoolReader(files, directory, limit)
    const contents: Contents = new Map()
    const streams = new Set<string>()
    for (;;) {
      const records = reader.next({ records: 50, bytes: 100_000 })
      if (records.length === 0) break
      for (const record of records) {
        const place = `${record.stream} ${record.sequence}`
        assert.ok(!contents.has(place), `${place} stands twice`)
        contents.set(place, (JSON.parse(record.bytes.toString()) as { name: string }).name)
        streams.add(record.stream)
      }
    }
    reader.close()
    this.counts.streams = Math.max(this.counts.streams, streams.size)
    return contents
  }
}

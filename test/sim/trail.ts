/**
 * What a history knows to be true, kept beside the code under test: each record that was written, how many of them
 * were called durable, and what destinations hold. After every recovery what stands on the disk is held against it.
 */

import assert from 'node:assert/strict'
import { leafHash } from '../../src/chain/hash.ts'

/** A record with what tells it from every other. */
export interface SimRecord {
  readonly stream: string
  readonly sequence: number
  readonly text: string
  /** What travels beside it. */
  readonly attachment: string
  readonly isCheckpoint?: boolean
}

export function keyOf({ stream, sequence }: { stream: string; sequence: number }): string {
  return `${stream} ${sequence}`
}

/**
 * What anyone anywhere has been shown, or was told is durable: a number that stands here keeps its bytes for ever,
 * on every host that has a copy.
 */
export class Ledger {
  readonly #texts = new Map<string, string>()

  note(record: SimRecord): void {
    const key = keyOf(record)
    const before = this.#texts.get(key)
    if (before === undefined) this.#texts.set(key, record.text)
    else assert.equal(record.text, before, `${key} exists twice with other bytes`)
  }
}

/** A destination on another machine: what it has received it keeps. */
export class SimDestination {
  readonly name: string
  readonly #texts = new Map<string, string>()
  readonly #heads = new Map<string, number>()

  /** Named from the beginning, so that it lacks nothing. */
  readonly #isGapless: boolean

  constructor(name: string, isGapless: boolean) {
    this.name = name
    this.#isGapless = isGapless
  }

  receive(record: SimRecord): void {
    const key = keyOf(record)
    const before = this.#texts.get(key)
    assert.ok(before === undefined || before === record.text, `${this.name} received ${key} twice with other bytes`)
    const head = this.#heads.get(record.stream) ?? 0
    assert.ok(
      !this.#isGapless || record.sequence <= head + 1,
      `${this.name} received ${key} behind sequence ${head}: a gap`,
    )
    this.#texts.set(key, record.text)
    this.#heads.set(record.stream, Math.max(head, record.sequence))
  }

  has(record: SimRecord): boolean {
    return this.#texts.has(keyOf(record))
  }

  get received(): Iterable<readonly [string, string]> {
    return this.#texts
  }

  /** The highest sequence it has of a stream, 0 without one. */
  headOf(stream: string): number {
    return this.#heads.get(stream) ?? 0
  }
}

/** A destination as one spool knows it: what was reclaimed before it was named it never gets. */
export interface NamedDestination {
  readonly destination: SimDestination
  /** Index of the first record that was retained then. */
  readonly joinedAt: number
}

/** The records of one spool directory, in order, of all its processes. */
export class Trail {
  records: SimRecord[] = []
  /** How many of them were called durable. */
  durable = 0
  /** The record whose append was under way when the process died: it may be there or not. */
  underWay: SimRecord | undefined
  /** Since the last check a power cut, or the loss of cached pages, has taken back the promise of what is only written. */
  isOnlyDurablePromised = false
  /** Cached pages were lost: what was written there is gone without a trace, and its numbers may come again. */
  hasLostPages = false
  /** Texts by number, of all records that were ever written here: a number that an application was given stays taken. */
  #issued = new Map<string, string>()

  copy(): Trail {
    const copy = new Trail()
    Object.assign(copy, this)
    copy.records = [...this.records]
    copy.#issued = new Map(this.#issued)
    return copy
  }

  /** The append of a record has returned. */
  add(record: SimRecord): void {
    const key = keyOf(record)
    const before = this.#issued.get(key) ?? record.text
    assert.equal(record.text, before, `${key} was given to another record before`)
    this.#issued.set(key, record.text)
    this.records.push(record)
  }

  /** What was written, and what may have been. */
  get possible(): readonly SimRecord[] {
    return this.underWay === undefined ? this.records : [...this.records, this.underWay]
  }

  indexOf(key: { stream: string; sequence: number }): number {
    return this.records.findLastIndex((one) => one.sequence === key.sequence && one.stream === key.stream)
  }

  /** Everything before a durable end in this stream is durable. */
  credit(stream: string, nextSequence: number): void {
    const first = this.records.findIndex((one) => one.stream === stream)
    const count = nextSequence > 1 ? this.indexOf({ stream, sequence: nextSequence - 1 }) + 1 : first
    assert.ok(nextSequence === 1 || count > 0, `${stream} ${nextSequence - 1} was called durable, but never written`)
    this.durable = Math.max(this.durable, count)
  }

  /**
   * Holds what recovery found against what was promised, and goes on from there. Returns the index of the first
   * retained record.
   */
  check(found: readonly SimRecord[], destinations: readonly NamedDestination[]): number {
    const { possible } = this
    const [first] = found
    const start =
      first === undefined ? this.#reclaimedEnd(destinations) : possible.findIndex((one) => isSame(one, first))
    assert.ok(start >= 0, `the first record found, ${first && keyOf(first)}, was never written`)
    const end = start + found.length
    found.forEach((one, index) => {
      const expected = possible[start + index]
      assert.ok(expected !== undefined, `${keyOf(one)} is there, but was refused or never written: ${one.text}`)
      assert.ok(isSame(one, expected), `${keyOf(one)} stands where ${keyOf(expected)} was written`)
      assert.equal(one.attachment, expected.attachment, `what stands beside ${keyOf(one)} is what was written there`)
    })
    const promised = this.isOnlyDurablePromised || this.hasLostPages ? this.durable : this.records.length
    assert.ok(end >= promised, `${promised} records were promised, ${end} are there (durable ${this.durable})`)
    for (const one of destinations) {
      for (const gone of possible.slice(one.joinedAt, start)) {
        assert.ok(one.destination.has(gone), `${keyOf(gone)} was reclaimed, but ${one.destination.name} lacks it`)
      }
    }
    checkLinks(possible.slice(Math.max(0, start - 1), end))
    if (this.hasLostPages) for (const lost of this.records.slice(end)) this.#issued.delete(keyOf(lost))
    for (const one of found.slice(-1)) this.#issued.set(keyOf(one), one.text) // it may have been under way
    this.records = possible.slice(0, end)
    this.durable = end // recovery has made everything durable that it found
    this.underWay = undefined
    this.isOnlyDurablePromised = false
    this.hasLostPages = false
    return start
  }

  /**
   * With nothing there, everything may have been reclaimed that was durable here and that all destinations have: they
   * may have it from a copy of the directory, where it became durable, while it is lost here.
   */
  #reclaimedEnd(destinations: readonly NamedDestination[]): number {
    if (destinations.length === 0) return 0
    const lacks = (record: SimRecord) => destinations.some(({ destination }) => !destination.has(record))
    const lacking = this.records.slice(0, this.durable).findIndex(lacks)
    return lacking < 0 ? this.durable : lacking
  }
}

function isSame(one: SimRecord, other: SimRecord): boolean {
  return one.sequence === other.sequence && one.stream === other.stream && one.text === other.text
}

interface RecordMembers {
  readonly prev?: string
  readonly predecessor?: { readonly stream: string; readonly sequence: number; readonly hash: string }
}

/** Each record names the leaf hash of the one before it; the first of a stream names where the stream before ended. */
export function checkLinks(records: readonly SimRecord[]): void {
  records.forEach((record, index) => {
    const before = records[index - 1]
    if (before === undefined) return
    const { prev, predecessor } = JSON.parse(record.text) as RecordMembers
    const hash = leafHash(before.text)
    if (record.stream === before.stream) {
      assert.equal(record.sequence, before.sequence + 1, `${keyOf(record)} follows ${keyOf(before)}`)
      assert.equal(prev, hash, `${keyOf(record)} links to the record before it`)
    } else {
      assert.equal(record.sequence, 1, `${keyOf(record)} begins its stream`)
      const expected = { stream: before.stream, sequence: before.sequence, hash }
      assert.deepEqual(predecessor, expected, `${keyOf(record)} names where the stream before it ended`)
    }
  })
}

/**
 * One host of a history: a disk with one spool directory, the processes that live on it one after another, and what is
 * known to be true of its spool. Checks every recovery.
 */

import assert from 'node:assert/strict'
import { leafHash } from '../../src/chain/hash.ts'
import { cursorFileName, readCursor } from '../../src/spool/cursor.ts'
import { segmentName } from '../../src/spool/format.ts'
import type { SpoolEnd } from '../../src/spool/positions.ts'
import type { Recovered } from '../../src/spool/recover.ts'
import { decodeSegmentHeader } from '../../src/spool/segment-header.ts'
import { Courier, publishedEnd } from './courier.ts'
import type { SimDisk } from './disk.ts'
import { Life } from './life.ts'
import { Dead, SimProcess, simDirectory, type Yield } from './process.ts'
import { checkRot } from './rot.ts'
import { type NamedDestination, type SimDestination, Trail } from './trail.ts'
import { observe, readTrail } from './walk.ts'
import type { Plan, World } from './world.ts'

/** The directory as it was once, and what was known of it. */
export interface Snapshot {
  readonly disk: SimDisk
  readonly trail: Trail
  readonly named: readonly NamedDestination[]
}

export class Host {
  readonly world: World
  readonly machineId: string
  disk: SimDisk
  trail = new Trail()
  snapshot: Snapshot | undefined
  /** What the living process was told to deliver to. */
  configured: readonly SimDestination[] = []
  /** All that were ever named: each must have a segment before it goes. */
  #named: NamedDestination[] = []
  #boot = 1
  #isConcluding = false
  #sidecar: { readonly process: SimProcess; readonly couriers: readonly Courier[] } | undefined
  #yieldOfSidecar: Yield = () => {}
  #seenBySidecar: SpoolEnd | undefined

  constructor(world: World, disk: SimDisk, machineId: string) {
    this.world = world
    this.disk = disk
    this.machineId = machineId
  }

  get plan(): Plan {
    return this.world.plan
  }

  get bootId(): string {
    return `${this.machineId}-boot-${this.#boot}`
  }

  /** One process, from its opening to its end. */
  live(): void {
    const { random, plan } = this.world
    this.disk.faults = plan.faults
    if (plan.rots) this.#checkRot()
    this.#configure()
    const process = new SimProcess(this.disk)
    const dies = random.chance(0.85)
    if (dies) process.dieAfter(1 + random.below(random.chance(0.3) ? 40 : 300))
    new Life(this, process).run({ steps: 5 + random.below(60), closes: !dies })
    assert.equal(process.misuse, undefined, 'descriptors are used while they are open')
    if (this.world.failure !== undefined) throw this.world.failure
    this.#yieldOfSidecar = () => {}
    if (this.disk.hasEvicted) this.trail.hasLostPages = true
    this.disk.hasEvicted = false
    if (random.chance(0.5)) this.#cutPower()
    else this.world.counts.kills += 1
  }

  /** What a process is told to deliver to: always the same, or any of the three. */
  #configure(): void {
    const { random, plan, destinations } = this.world
    if (!plan.changesDestinations) this.configured = destinations.slice(0, 2)
    else this.configured = destinations.filter(() => random.chance(0.5)).reverse()
  }

  takeSnapshot(): void {
    const disk = this.disk.copy({ keepsIdentities: false })
    this.snapshot = { disk, trail: this.trail.copy(), named: [...this.#named] }
  }

  /** The same directory on another host. */
  clone(snapshot: Snapshot, machineId: string): Host {
    const clone = new Host(this.world, snapshot.disk, machineId)
    clone.trail = snapshot.trail
    clone.#named = [...snapshot.named]
    return clone
  }

  /** The directory is put back to what it was, by files that are not the same files. */
  restore(snapshot: Snapshot): void {
    this.#endSidecar()
    this.disk = snapshot.disk
    this.trail = snapshot.trail
    this.#named = [...snapshot.named]
    this.world.isRolledBack = true
  }

  changeCapacity(): void {
    const { random, plan } = this.world
    if (!plan.runsFull || this.#isConcluding || !random.chance(0.05)) return
    const isFull = random.chance(0.5)
    this.disk.capacityBytes = isFull ? this.disk.usedBytes + random.below(16_384) : Number.POSITIVE_INFINITY
  }

  /** A last opening on a disk that does not fail; then everything is delivered. */
  conclude(): void {
    const { world } = this
    this.disk.faults = { ...world.plan.faults, sync: 0, directorySync: 0, write: 0, name: 0 }
    this.disk.capacityBytes = Number.POSITIVE_INFINITY
    this.#isConcluding = true
    this.#endSidecar()
    this.configured = this.#named.map(({ destination }) => destination)
    new Life(this, new SimProcess(this.disk)).run({ steps: 0, closes: true })
    if (world.failure !== undefined) throw world.failure
    const { random, ledger } = world
    observe(this.disk, (files) => {
      const end = publishedEnd(files)
      const durable = () => end
      for (const { destination, joinedAt } of this.#named) {
        new Courier({ random, files, destination, ledger, durable }).drain()
        for (const record of this.trail.records.slice(joinedAt)) {
          assert.ok(destination.has(record), `${destination.name} never received ${record.stream} ${record.sequence}`)
        }
      }
    })
  }

  #checkRot(): void {
    const { random, counts } = this.world
    if (this.disk.find('control') === undefined) return
    const { durable, possible } = this.trail
    const { disk, bootId, machineId } = this
    for (const outcome of checkRot(random, { disk, bootId, machineId, durable, possible }, 3)) {
      counts.rots += 1
      if (outcome === 'refused') counts.rotsRefused += 1
      if (outcome === 'beyondProof') counts.rotsBeyondProof += 1
    }
  }

  #cutPower(): void {
    this.#endSidecar()
    this.disk.cutPower()
    this.#boot += 1
    this.trail.isOnlyDurablePromised = true
  }

  /** The durable position of the living process. */
  credit({ segment, nextSequence }: SpoolEnd): void {
    const header = this.disk.find(segmentName(segment))?.cache
    const decoded = header === undefined ? undefined : decodeSegmentHeader(header)
    assert.ok(decoded?.ok, `segment ${segment} holds the durable end`)
    const from = this.trail.durable
    this.trail.credit(decoded.header.stream, nextSequence)
    for (const record of this.trail.records.slice(from, this.trail.durable)) this.world.ledger.note(record)
    if (this.trail.durable === this.trail.records.length) this.disk.hasEvicted = false
  }

  /** Holds what recovery left on the disk, and what it says of it, against what was promised. */
  checkRecovered(recovered: Recovered): void {
    const { trail, world } = this
    const { state, predecessor } = recovered
    world.counts.recoveries += 1
    const found = observe(this.disk, (files) => readTrail(files, state.watermark))
    const start = trail.check(found, this.#named)
    for (const destination of this.configured) {
      if (this.#named.some((one) => one.destination === destination)) continue
      this.#named.push({ destination, joinedAt: start })
    }
    const last = trail.records.at(-1)
    for (const record of trail.records) world.ledger.note(record)
    if (state.watermark.nextSequence > 1) {
      const { stream } = state
      const { nextSequence, hash } = state.watermark
      assert.deepEqual(last && [last.stream, last.sequence, leafHash(last.text)], [stream, nextSequence - 1, hash])
    } else if (last !== undefined) {
      const expected = { stream: last.stream, sequence: last.sequence, hash: leafHash(last.text) }
      assert.deepEqual(predecessor && { ...predecessor, reason: undefined }, { ...expected, reason: undefined })
    }
    this.#checkOutside()
    world.counts.streams += new Set(trail.records.map((one) => one.stream)).size
  }

  /** What destinations have received is there, and no cursor is ahead of the log or of its destination. */
  #checkOutside(): void {
    const { trail, world } = this
    const texts = new Map(trail.records.map((one) => [`${one.stream} ${one.sequence}`, one.text]))
    for (const destination of world.destinations) {
      for (const [key, text] of destination.received) {
        if (texts.has(key)) assert.equal(texts.get(key), text, `${destination.name} received other bytes for ${key}`)
        else assert.ok(world.mayLack(key, this), `${destination.name} received ${key}, which is no longer there`)
      }
      observe(this.disk, (files) => {
        if (this.disk.find(cursorFileName(destination.name)) === undefined) return
        const { confirmed } = readCursor(files, simDirectory, destination.name)
        if (confirmed === undefined) return
        const record = trail.records[trail.indexOf(confirmed)]
        assert.ok(record !== undefined, `the cursor of ${destination.name} is ahead of the log`)
        assert.ok(destination.has(record), `the cursor of ${destination.name} is ahead of what it has`)
      })
    }
  }

  /** The sidecar goes a step further; it lives until it dies, or the power does. */
  sidecarTurn(yieldTo: Yield): void {
    const { world, plan } = this
    if (plan.delivery !== 'sidecar' || this.disk.find('control') === undefined) return
    this.#yieldOfSidecar = yieldTo
    this.#seenBySidecar = undefined
    this.#sidecar ??= this.#startSidecar()
    const { process: sidecar, couriers } = this.#sidecar
    try {
      couriers[world.random.below(couriers.length)]?.turn()
    } catch (error) {
      if (!(error instanceof Dead) || !sidecar.isDead) throw error
      this.#endSidecar()
      world.counts.sidecarKills += 1
    }
  }

  #startSidecar() {
    const { random, ledger } = this.world
    const process = new SimProcess(this.disk)
    if (random.chance(0.5)) process.dieAfter(1 + random.below(100))
    const files = process.files((call, name) => this.#yieldOfSidecar(call, name))
    const durable = () => {
      this.#seenBySidecar ??= publishedEnd(files) // it looks once a turn
      return this.#seenBySidecar
    }
    return {
      process,
      couriers: this.configured.map((one) => new Courier({ random, files, destination: one, ledger, durable })),
    }
  }

  #endSidecar(): void {
    this.#sidecar?.process.end()
    this.#sidecar = undefined
  }
}

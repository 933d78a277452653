/**
 * One process on one host, from its opening to its end, with the threads and the sidecar taking turns as chance has it:
 * each call of one lets others in between. A thread that is within a turn takes no second one, and the sync thread none
 * within an append (it would wait for the append to end, here for ever).
 */

import assert from 'node:assert/strict'
import { SpoolRefusal } from '../../src/spool/state.ts'
import { Courier } from './courier.ts'
import type { Host } from './host.ts'
import { type CallName, Dead, DiskError, type SimProcess, type Yield } from './process.ts'
import { SpoolProcess } from './spool-process.ts'
import type { SimRecord } from './trail.ts'

export class Life {
  readonly #host: Host
  readonly #process: SimProcess
  readonly #onStack = new Set<string>()
  #isAppending = true
  #hasReadControl = false
  #spool: SpoolProcess | undefined
  #couriers: Courier[] = []

  constructor(host: Host, process: SimProcess) {
    this.#host = host
    this.#process = process
  }

  /** Opens, works and, unless it dies or fails first, closes. */
  run({ steps, closes }: { steps: number; closes: boolean }): void {
    try {
      this.#open()
      for (let step = 0; step < steps; step += 1) this.#takeTurn()
      if (closes) this.#close()
    } catch (error) {
      if (!(error instanceof Dead) && !(error instanceof DiskError)) throw error
    } finally {
      this.#process.end()
    }
  }

  #open(): void {
    const { world, plan, bootId, machineId } = this.#host
    const application = this.#process.files(this.#yieldOfApplication)
    const sync = this.#process.files(this.#yield)
    this.#onStack.add('application').add('sync') // recovery is before both
    const destinations = this.#host.configured.map((one) => one.name)
    const options = { ...plan.spool, application, sync, bootId, machineId, destinations }
    const spool = new SpoolProcess(options, (recovered) => this.#host.checkRecovered(recovered))
    this.#onStack.clear()
    this.#spool = spool
    if (plan.delivery !== 'thread') return
    this.#couriers = this.#host.configured.map((destination) => {
      const files = this.#process.files(this.#yield)
      const durable = () => spool.positions.durable()
      return new Courier({ random: world.random, files, destination, ledger: world.ledger, durable })
    })
  }

  /** While a rescue is filled the sync thread goes on; while a frame is written it would wait for the append to end. */
  readonly #yieldOfApplication: Yield = (call, name) => {
    this.#isAppending = !name.endsWith('.tmp') && call !== 'rename'
    if (this.#spool === undefined) this.#checkOpening(call, name)
    try {
      this.#yield(call, name)
    } finally {
      this.#isAppending = true
    }
  }

  /** What recovery reads must not be taken back by a power cut while it decides. */
  #checkOpening(call: CallName, name: string): void {
    const { disk, plan } = this.#host
    if (plan.delivery === 'sidecar' || call !== 'open' || this.#hasReadControl || name !== 'control') return
    this.#hasReadControl = true
    assert.ok(!disk.hasPendingNames, 'recovery decides on names that are durable')
  }

  /** What each call of a thread lets happen before and while it runs. */
  readonly #yield: Yield = (call) => {
    const { random } = this.#host.world
    const isLong = call === 'mid-sync'
    if (this.#onStack.size > 3 || !random.chance(isLong ? 0.4 : 0.03)) return
    for (let turns = isLong ? 1 + random.below(4) : 1; turns > 0; turns -= 1) this.#takeTurn()
  }

  /** The sidecar is within a call. Should this process die now, the sidecar goes on. */
  readonly #yieldOfSidecar: Yield = (call) => {
    try {
      if (!this.#process.isDead) this.#yield(call, '')
    } catch (error) {
      if (!(error instanceof Dead)) throw error
    }
  }

  /** Some thread or process that may goes a step further. */
  #takeTurn(): void {
    const { world } = this.#host
    world.passTime()
    this.#host.changeCapacity()
    const dice = world.random.below(10)
    if (dice < 5) this.#as('application', () => this.#act())
    else if (dice < 8) this.#as('sync', () => this.#sync(() => this.#spool?.sync()))
    else if (this.#couriers.length > 0) {
      const courier = this.#couriers[world.random.below(this.#couriers.length)]
      if (courier !== undefined) this.#as(`courier ${courier.destination.name}`, () => courier.turn())
    } else this.#as('sidecar', () => this.#host.sidecarTurn(this.#yieldOfSidecar))
  }

  #as(thread: string, turn: () => void): void {
    if (this.#onStack.has(thread)) return
    if (thread === 'sync' && this.#onStack.has('application') && this.#isAppending) return
    this.#onStack.add(thread)
    try {
      turn()
    } catch (error) {
      // The thread within whose call this happens may take it for an error of the disk.
      if (!(error instanceof Dead)) this.#host.world.failure ??= error
      throw error
    } finally {
      this.#onStack.delete(thread)
    }
  }

  /** What the application thread does with its turn. */
  #act(): void {
    const spool = this.#spool
    if (spool === undefined) return
    const { random, counts } = this.#host.world
    const dice = random.below(20)
    if (dice < 4) this.#hear(spool)
    else if (dice === 4 && random.chance(0.1)) spool.wantStream(random.pick(['clock', 'ahead']))
    else if (dice === 5) spool.enterStream()
    else this.#append(spool)
    counts.turns += 1
  }

  /** One message of the sync thread. */
  #hear(spool: SpoolProcess): void {
    const message = spool.messages.shift()
    if (message?.kind === 'rescue') spool.takeRescue()
    else if (message?.kind === 'checkpoint') this.#sealCheckpoint(spool)
    else if (message?.kind === 'failed') throw new Error(message.reason)
  }

  #sealCheckpoint(spool: SpoolProcess): void {
    this.#write(spool, spool.seal({ name: 'checkpoint', padBytes: 200, attachment: '', isCheckpoint: true }))
    spool.positions.acknowledgeCheckpoint()
  }

  #append(spool: SpoolProcess): void {
    const { world, plan } = this.#host
    const { random } = world
    const padBytes = random.chance(0.2) ? random.below(2_500) : random.below(120)
    const attachment = plan.disclosures && random.chance(0.3) ? 'd'.repeat(1 + random.below(300)) : ''
    this.#write(spool, spool.seal({ name: world.nextName(), padBytes, attachment }))
  }

  #write(spool: SpoolProcess, record: SimRecord): void {
    const { trail, world } = this.#host
    // It died within a turn that another process had yielded, whose code took that for an error of its own.
    if (this.#process.isDead) throw new Dead('before a write')
    trail.underWay = record
    try {
      spool.write(record, record.isCheckpoint === true)
    } catch (error) {
      if (!(error instanceof SpoolRefusal)) throw error
      if (this.#process.isDead) throw new Dead('within a write') // nobody heard the refusal
      trail.underWay = undefined // refused: it must never be seen
      world.counts.refused += 1
      return
    }
    trail.underWay = undefined
    trail.add(record)
    world.counts.written += 1
  }

  #sync(turn: () => void): void {
    try {
      turn()
    } catch (error) {
      if (error instanceof DiskError) throw new Error(`the sync thread ends of a disk error: ${error.message}`)
      throw error
    } finally {
      this.#credit()
    }
  }

  #credit(): void {
    if (this.#spool !== undefined) this.#host.credit(this.#spool.positions.durable())
  }

  #close(): void {
    const spool = this.#spool
    if (spool === undefined) return
    spool.positions.requestFinish()
    for (let round = 0; round < 3; round += 1) {
      this.#as('sync', () => this.#sync(() => spool.sync()))
      while (spool.messages.length > 0) this.#as('application', () => this.#hear(spool))
    }
    this.#onStack.add('application') // it seals nothing behind its last record
    this.#isAppending = false
    this.#as('sync', () => this.#sync(() => spool.stop()))
    for (const courier of this.#couriers) courier.close()
    this.#host.world.counts.closes += 1
  }
}

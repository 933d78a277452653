/** What the hosts of a history share: the seed, the clocks, the destinations, and what chance has planned. */

import type { FaultRates } from './disk.ts'
import { Random } from './random.ts'
import { type SimClock, seedProcess } from './seed-process.ts'
import { keyOf, Ledger, SimDestination, type Trail } from './trail.ts'

/** What is drawn once for a history, so that each kind of trouble also comes alone. */
export interface Plan {
  readonly faults: FaultRates
  readonly spool: {
    readonly segmentBytesMax: number
    readonly bytesMax: number | undefined
    readonly reserveBytes: number | undefined
    readonly ballastBytes: number | undefined
    readonly unsyncedBytesMax: number | undefined
    readonly keepMs: number
  }
  readonly delivery: 'thread' | 'sidecar'
  readonly disclosures: boolean
  readonly rots: boolean
  /** The disk's room comes and goes. */
  readonly runsFull: boolean
  /** Each process names other destinations. */
  readonly changesDestinations: boolean
  /** The directory is cloned to another host, or put back to an older state (as another directory). */
  readonly copies: 'none' | 'clone' | 'restore'
  readonly lives: number
}

export interface WorldCounts {
  turns: number
  written: number
  refused: number
  recoveries: number
  kills: number
  sidecarKills: number
  closes: number
  copies: number
  rots: number
  rotsRefused: number
  rotsBeyondProof: number
  streams: number
}

export class World {
  readonly random: Random
  readonly clock: SimClock = { wallMs: 1_800_000_000_000, monotonicMs: 0 }
  readonly plan: Plan
  readonly ledger = new Ledger()
  readonly destinations: readonly SimDestination[]
  readonly counts: WorldCounts = {
    turns: 0,
    written: 0,
    refused: 0,
    recoveries: 0,
    kills: 0,
    sidecarKills: 0,
    closes: 0,
    copies: 0,
    rots: 0,
    rotsRefused: 0,
    rotsBeyondProof: 0,
    streams: 0,
  }
  hosts: readonly { readonly trail: Trail }[] = []
  /** A directory was put back: destinations know more than it. */
  isRolledBack = false
  /** The first promise that a turn saw broken. */
  failure: unknown
  #name = 0

  constructor(seed: number) {
    this.random = new Random(seed)
    this.plan = drawPlan(this.random, seed)
    const isGapless = !this.plan.changesDestinations
    this.destinations = ['first', 'second', 'third'].map((name) => new SimDestination(name, isGapless))
    seedProcess(this.random, this.clock)
  }

  /** Whether a record that a destination has may be missing on this host. */
  mayLack(key: string, host: { readonly trail: Trail }): boolean {
    if (this.isRolledBack) return true
    return this.hosts.some((one) => one !== host && one.trail.records.some((record) => keyOf(record) === key))
  }

  nextName(): string {
    return `r${this.#name++}`
  }

  passTime(): void {
    const ms = this.random.chance(0.05) ? 1_100 : this.random.below(20)
    this.clock.monotonicMs += ms
    this.clock.wallMs += ms
  }
}

/** Failing syncs at 0, 5 and 25 %, a third of all histories each. */
function drawPlan(random: Random, seed: number): Plan {
  const sync = [0, 0.05, 0.25][seed % 3] ?? 0
  const alsoOthers = sync > 0 && random.chance(0.5)
  return {
    faults: {
      sync,
      directorySync: alsoOthers ? sync : 0,
      write: alsoOthers && random.chance(0.5) ? 0.02 : 0,
      name: alsoOthers && random.chance(0.5) ? 0.02 : 0,
      evict: random.chance(0.5) ? 0.3 : 0,
    },
    spool: drawLimits(random),
    delivery: random.chance(0.4) ? 'sidecar' : 'thread',
    disclosures: random.chance(0.3),
    rots: random.chance(0.2),
    runsFull: random.chance(0.15),
    changesDestinations: random.chance(0.15),
    copies: random.chance(0.2) ? random.pick(['clone', 'restore']) : 'none',
    lives: 2 + random.below(4),
  }
}

function drawLimits(random: Random): Plan['spool'] {
  const isTight = random.chance(0.3)
  return {
    segmentBytesMax: random.pick([6_144, 8_192, 16_384]),
    bytesMax: isTight ? 65_536 : undefined,
    reserveBytes: isTight ? 8_192 : undefined,
    ballastBytes: isTight ? 8_192 : undefined,
    unsyncedBytesMax: random.chance(0.2) ? 4_096 : undefined,
    keepMs: random.pick([0, 0, 1_000, 60_000]),
  }
}

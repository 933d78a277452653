/**
 * Histories that chance meets once in thousands, or that the protocol's text names: written down step by step. Where a
 * step ends in a power cut or in a death within a call, all of some seeds and all calls are tried.
 */

import assert from 'node:assert/strict'
import { frameHeaderBytes } from '../../src/spool/format.ts'
import { SpoolRefusal } from '../../src/spool/state.ts'
import { SimDisk } from './disk.ts'
import { Dead, DiskError, SimProcess, simDirectory } from './process.ts'
import { Random } from './random.ts'
import type { ScriptName } from './script-names.ts'
import { type SimClock, seedProcess } from './seed-process.ts'
import { SpoolProcess } from './spool-process.ts'
import { Trail } from './trail.ts'
import { observe, readTrail } from './walk.ts'

const segmentBytesMax = 6_144
const seeds = 40

/** One spool, one process at a time, and what must be true of it. */
class Stage {
  readonly disk: SimDisk
  readonly #trail = new Trail()
  readonly #clock: SimClock = { wallMs: 1_800_000_000_000, monotonicMs: 0 }
  #process: SimProcess
  #spool: SpoolProcess | undefined
  #boot = 1
  #name = 0

  constructor(seed: number) {
    const random = new Random(seed)
    seedProcess(random, this.#clock)
    this.disk = new SimDisk(random)
    this.#process = new SimProcess(this.disk)
  }

  get spool(): SpoolProcess {
    assert.ok(this.#spool !== undefined, 'a process lives')
    return this.#spool
  }

  /** Opens and checks what is there. `diesAfter` calls the process is dead. */
  open(diesAfter = Number.POSITIVE_INFINITY): void {
    this.#process = new SimProcess(this.disk)
    this.#process.dieAfter(diesAfter)
    const files = this.#process.files((call, name) => this.during(call, name))
    const own = { application: files, sync: files, bootId: `boot-${this.#boot}`, machineId: 'one', destinations: [] }
    this.#spool = new SpoolProcess({ ...own, segmentBytesMax }, ({ state }) => {
      const found = observe(this.disk, (seen) => readTrail(seen, state.watermark))
      this.#trail.check(found, [])
    })
  }

  /** What happens while a call runs. */
  during: (call: string, name: string) => void = () => {}

  append(count: number, padBytes = 100): void {
    for (let one = 0; one < count; one += 1) {
      const record = this.spool.seal({ name: `r${this.#name++}`, padBytes, attachment: '' })
      this.#trail.underWay = record
      try {
        this.spool.write(record, false)
        this.#trail.add(record)
      } catch (error) {
        if (!(error instanceof SpoolRefusal) || this.#process.isDead) throw error
      }
      this.#trail.underWay = undefined
    }
  }

  /** One round of the sync thread; what it calls durable is promised. */
  sync(passingMs = 1_100): void {
    this.spool.sync()
    const { nextSequence, segment } = this.spool.positions.durable()
    const stream = this.#trail.records.findLast((one) => one.sequence === nextSequence - 1)?.stream
    if (stream !== undefined && segment > 0) this.#trail.credit(stream, nextSequence)
    this.#clock.monotonicMs += passingMs
  }

  dieAfter(calls: number): void {
    this.#process.dieAfter(calls)
  }

  kill(): void {
    this.#process.end()
  }

  cut(): void {
    this.#process.end()
    this.disk.cutPower()
    this.#boot += 1
    this.#trail.isOnlyDurablePromised = true
  }
}

/** Runs what may end in the death of the process. */
function untilDeath(stage: Stage, act: () => void): void {
  try {
    act()
  } catch (error) {
    if (!(error instanceof Dead) && !(error instanceof DiskError) && !(error instanceof SpoolRefusal)) throw error
  }
  stage.kill()
}

/** Opened, with durable records in segment 1 and further ones in segment 2. */
function rolled(seed: number): Stage {
  const stage = new Stage(seed)
  stage.open()
  stage.append(2)
  stage.sync() // makes the spare
  while (stage.spool.positions.written().segment === 1) stage.append(1)
  stage.append(1)
  return stage
}

/** Rolled, and the sync of segment 1 has failed: a rescue is offered. */
function failing(seed: number): Stage {
  const stage = rolled(seed)
  stage.disk.script = { failsSync: (name) => name === 'seg-00000001.wal' }
  stage.sync()
  stage.disk.script = {}
  return stage
}

function forSeeds(history: (seed: number) => void): void {
  for (let seed = 0; seed < seeds; seed += 1) history(seed)
}

const histories: Readonly<Record<ScriptName, () => void>> = {
  'a void segment removed early': () => {
    const stage = failing(1)
    stage.kill()
    stage.open()
  },

  'a frame that lacks only its padding': () => {
    const stage = new Stage(1)
    stage.open()
    stage.append(1)
    stage.sync()
    const next = stage.spool.seal({ name: 'r1', padBytes: 100, attachment: '' })
    stage.disk.script = { writesOnly: () => frameHeaderBytes + Buffer.byteLength(next.text) }
    stage.append(1)
    stage.disk.script = {}
    stage.kill()
    stage.open()
  },

  'roll, credit, cut': () =>
    forSeeds((seed) => {
      const stage = rolled(seed)
      stage.sync()
      stage.cut()
      stage.open()
    }),

  'a rescue named while it is empty': () => {
    for (let call = 1; call < 12; call += 1) {
      const stage = failing(call)
      untilDeath(stage, () => {
        stage.dieAfter(call)
        stage.spool.takeRescue()
        stage.sync()
      })
      stage.open()
    }
  },

  'a failed sync of the directory condemns every name': () =>
    forSeeds((seed) => {
      const stage = new Stage(seed)
      const other = new SimProcess(stage.disk).files()
      const descriptor = other.openDirectory(simDirectory)
      stage.open()
      stage.append(4)
      stage.sync()
      stage.append(4)
      let hasFailed = false
      stage.during = (call) => {
        if (call !== 'syncDirectory' || hasFailed) return
        hasFailed = true
        stage.disk.script = { failsDirectorySync: () => true }
        assert.throws(() => other.syncDirectory(descriptor), DiskError)
        stage.disk.script = {}
      }
      for (let round = 0; round < 4; round += 1) {
        stage.sync()
        stage.append(4)
      }
      assert.ok(hasFailed, 'the script makes a name')
      stage.sync()
      stage.cut()
      stage.open()
    }),

  'control in the cache alone, a recovery killed, a cut': () => {
    for (let call = 1; call < 60; call += 1) {
      const stage = new Stage(call)
      stage.open()
      stage.append(2)
      stage.sync()
      stage.disk.script = { failsSync: (name) => name === 'control' }
      stage.append(1)
      stage.sync()
      stage.sync()
      stage.disk.script = {}
      stage.kill()
      untilDeath(stage, () => stage.open(call))
      stage.cut()
      stage.open()
    }
  },

  'a recovery killed between the segments of two streams': () => {
    for (let call = 1; call < 60; call += 1) {
      const stage = new Stage(call)
      stage.open()
      stage.append(2)
      stage.sync(0)
      stage.spool.wantStream('clock')
      stage.append(1)
      stage.sync(0)
      stage.spool.enterStream()
      stage.append(2)
      stage.sync(0) // the watermark is not due yet: it stays in the first stream
      assert.ok(stage.spool.positions.durable().segment > 1, 'the script begins another stream')
      stage.kill()
      untilDeath(stage, () => stage.open(call))
      stage.open()
    }
  },

  'a stream that is credited before its first record': () =>
    forSeeds((seed) => {
      const stage = new Stage(seed)
      stage.open()
      stage.append(2)
      stage.sync(0)
      stage.spool.wantStream('clock')
      stage.append(1)
      stage.sync(0)
      stage.spool.enterStream()
      stage.sync(0)
      assert.equal(stage.spool.positions.durable().nextSequence, 1, 'the script credits an empty segment')
      if (seed % 2 === 0) stage.cut()
      else stage.kill()
      stage.open()
    }),
}

export const scripts: Readonly<Record<string, () => void>> = histories

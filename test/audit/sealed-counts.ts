/**
 * A trail on a simulated disk that is killed before any of its writes, or loses its power: to count, over all its lives,
 * what was suppressed and what its records account for. Every suppressed event has a rule of its own.
 */

import { EventCounts } from '../../src/audit/counts.ts'
import { openingFacts } from '../../src/audit/opening.ts'
import { Sealer, type SealingSpool } from '../../src/audit/sealer.ts'
import { Suppressions } from '../../src/audit/suppressions.ts'
import { nowMs } from '../../src/clock.ts'
import { compileCatalogue } from '../../src/event/catalogue-check.ts'
import type { EventFacts } from '../../src/event/facts.ts'
import type { Decision, Policy } from '../../src/policy/policy.ts'
import { compileRedaction } from '../../src/policy/redact.ts'
import { checkpointFlag } from '../../src/spool/format.ts'
import { Positions } from '../../src/spool/positions.ts'
import { type Recovered, recoverSpool } from '../../src/spool/recover.ts'
import { CountsSlot, type SuppressionWindow } from '../../src/spool/running-counts.ts'
import { SpoolRefusal } from '../../src/spool/state.ts'
import { Syncer } from '../../src/spool/syncer.ts'
import { SpoolWriter } from '../../src/spool/writer.ts'
import { SimDisk } from '../sim/disk.ts'
import { SimProcess, simDirectory } from '../sim/process.ts'
import { Random } from '../sim/random.ts'
import { simSigner } from '../sim/spool-process.ts'
import { observe, readTrail } from '../sim/walk.ts'

const redaction = compileRedaction({ preset: 'off' })

/** Suppresses what is called `no.…`, each by a rule of its own. */
function policyOf(hash: string): Policy {
  const kept: Decision = { kept: true, rule: undefined, isMetadata: false, sampling: undefined }
  const decide = ({ action }: EventFacts): Decision => {
    return action.startsWith('no.') ? { kept: false, rule: action } : kept
  }
  return { hash, level: 'all', suppresses: true, decide }
}

interface Counted {
  readonly rule: string
  readonly policy: string
  readonly atMs: number
}

interface Process {
  readonly sim: SimProcess
  readonly sealer: Sealer
  readonly suppressions: Suppressions
  readonly syncer: Syncer
  readonly positions: Positions
}

export class CountedTrail {
  readonly #random: Random
  readonly #disk: SimDisk
  #boot = 1
  #policy = 1
  #process: Process | undefined
  #isRefusing = false
  #writesLeft = Number.POSITIVE_INFINITY
  /** Every event that was suppressed. */
  readonly counted: Counted[] = []
  diedAtMs = 0
  /** Events that were recorded. */
  kept = 0

  constructor(seed: number) {
    this.#random = new Random(seed)
    this.#disk = new SimDisk(this.#random)
  }

  get isAlive(): boolean {
    return this.#process !== undefined && !this.#process.sim.isDead
  }

  /** Opens it; what recovery found is what no record accounted for. */
  open(): void {
    const sim = new SimProcess(this.#disk)
    const files = sim.files((call) => {
      if (call !== 'write') return
      this.#writesLeft -= 1
      if (this.#writesLeft >= 0 || sim.isDead) return
      this.diedAtMs = nowMs()
      sim.end() // the write does not happen any more
    })
    const context = { directory: simDirectory, deployment: 'sim', bootId: `boot-${this.#boot}`, machineId: 'machine' }
    const recovered = recoverSpool(files, { ...context, destinations: [] })
    const { state, segment, superseded } = recovered
    const positions = new Positions()
    positions.reset(state.watermark)
    positions.setWaiting(true)
    const { nextSequence } = state.watermark
    const writer = new SpoolWriter(files, positions, { directory: simDirectory, segment, nextSequence })
    const start = { directory: simDirectory, memory: positions.memory, state, segment, superseded }
    const syncer = new Syncer(files, start, { signer: simSigner, post: () => {} })
    const slot = new CountsSlot(files, simDirectory)
    const policy = policyOf(`policy-${this.#policy}`)
    const { epoch } = state
    const suppressions = new Suppressions({ slot, found: recovered.suppressed, epoch, policy: policy.hash })
    const sealer = this.#seal(this.#spoolOf(writer), { recovered, suppressions, policy })
    this.#process = { sim, sealer, suppressions, syncer, positions }
  }

  #seal(
    spool: SealingSpool,
    { recovered, suppressions, policy }: { recovered: Recovered; suppressions: Suppressions; policy: Policy },
  ): Sealer {
    const { stream, epoch, watermark } = recovered.state
    const owner = { deployment: 'sim', verifierKey: '' }
    return new Sealer({
      inForce: { policy, redaction },
      suppressions,
      catalogue: compileCatalogue(undefined, 'record'),
      spool,
      service: 'sim',
      owner,
      blockMsMax: 0,
      counts: new EventCounts([]),
      onRefusal: () => {},
      opening: openingFacts(owner, recovered),
      head: { stream, epoch, sequence: watermark.nextSequence - 1, hash: watermark.hash, recorded: watermark.recorded },
    })
  }

  #spoolOf(writer: SpoolWriter): SealingSpool {
    const refusal = () => (this.#isRefusing ? new SpoolRefusal('full', 'full') : undefined)
    return {
      append: (record, { isCheckpoint = false, mayUseReserve }) => {
        const refused = refusal()
        if (refused !== undefined) throw refused
        return writer.append(record, { flags: isCheckpoint ? checkpointFlag : 0, mayUseReserve })
      },
      refusal,
      durable: () => Promise.resolve(),
      enterStream: () => undefined,
      startStream: () => {},
      waitForRoom: () => false,
    }
  }

  /** Emits an event that policy does not want. */
  suppress(): void {
    const rule = `no.${this.counted.length}`
    this.counted.push({ rule, policy: `policy-${this.#policy}`, atMs: nowMs() })
    this.#emit(rule)
  }

  /** Emits an event that policy wants, unless that would go to standard error. */
  keep(): void {
    if (this.#isRefusing) return
    const status = this.#emit('yes')
    if (status === 'written') this.kept += 1
  }

  #emit(action: string): string | undefined {
    return this.#process?.sealer.seal({ action }, { trace: undefined, resource: undefined }).status
  }

  /** Exchanges the policy, if the spool takes the record of it. */
  reload(): void {
    const policy = policyOf(`policy-${this.#policy + 1}`)
    const change = { type: 'audit.policy.changed', details: { after: policy.hash } } as const
    if (this.#process?.sealer.enforce({ policy, redaction }, change) === true) this.#policy += 1
  }

  sync(): void {
    this.#process?.syncer.cycle()
  }

  refuse(isRefusing: boolean): void {
    this.#isRefusing = isRefusing
  }

  /** It dies before this write from now. */
  dieBefore(write: number): void {
    this.#writesLeft = write
  }

  /** SIGKILL, or with the power everything that was not synced. */
  end({ cutsPower }: { cutsPower: boolean }): void {
    this.#process?.sim.end()
    this.#process = undefined
    this.#writesLeft = Number.POSITIVE_INFINITY
    this.#isRefusing = false
    if (!cutsPower) return
    this.#disk.cutPower()
    this.#boot += 1
  }

  /** Ends it well. */
  close(): void {
    this.#process?.sealer.accountSuppressed()
    this.#process?.sealer.close()
    this.#process?.sealer.sealFact({ type: 'audit.stream.closed', details: {} })
    this.#process?.suppressions.close()
    this.#process?.positions.requestStop()
    this.#process?.syncer.run()
  }

  /** How often each rule is accounted for: by a record, or by what the next opening would find and seal. */
  accounts(): { rules: Map<string, number>; windows: SuppressionWindow[]; events: number } {
    const copy = this.#disk.copy({ keepsIdentities: true })
    return observe(copy, (files) => {
      const context = { directory: simDirectory, deployment: 'sim', bootId: `boot-${this.#boot}`, machineId: 'machine' }
      const recovered = recoverSpool(files, { ...context, destinations: [] })
      const records = readTrail(files, recovered.state.watermark).map(({ text }) => JSON.parse(text) as SealedRecord)
      const windows = [...records.flatMap(windowsIn), ...recovered.suppressed]
      const rules = new Map<string, number>()
      for (const { id, count } of windows.flatMap((one) => one.rules)) rules.set(id, (rules.get(id) ?? 0) + count)
      return { rules, windows, events: records.filter(({ action }) => action === 'yes').length }
    })
  }
}

interface SealedRecord {
  readonly action: string
  readonly details?: SuppressionWindow & { readonly suppressed?: SuppressionWindow }
}

function windowsIn({ action, details }: SealedRecord): SuppressionWindow[] {
  if (action === 'audit.suppressed' && details !== undefined) return [details]
  return details?.suppressed === undefined ? [] : [details.suppressed]
}

/**
 * The open trail that `createAudit` returns: wires the stages and owns the life cycle. Emission is synchronous and never
 * throws; remote trouble and a failing disk stand in `state` and in one line on standard error.
 */

import type { LoggerProvider } from '@opentelemetry/sdk-logs'
import type { JsonObject } from '../event/canonical.ts'
import type { ActionName, Emitted } from '../event/catalogued-event.ts'
import type { ControlFact } from '../event/record.ts'
import type { DeliveryFact } from '../forward/quarantine.ts'
import type { SealOutcome, SealSource } from '../otel/processor.ts'
import { keptMembers } from '../otel/resource.ts'
import type { TransactionClient } from '../postgres/outbox.ts'
import type { RecordNumber } from '../spool/cursor.ts'
import type { Spool } from '../spool/spool.ts'
import { SyncTimes } from '../spool/sync-times.ts'
import type { AuditConfig } from './config.ts'
import { EventCounts } from './counts.ts'
import { Destinations } from './destinations.ts'
import { type AuditBindings, type Bound, BoundAudit, Emission } from './emission.ts'
import { Emitter } from './emitter.ts'
import { endTrail, syncAtExit } from './ending.ts'
import { Forks } from './forks.ts'
import type { HealthServer } from './health-server.ts'
import { listenToProcess } from './listening.ts'
import { Observation, type ServeOptions } from './observation.ts'
import { compileInForce, openSealer } from './open-sealer.ts'
import { openSequencer } from './open-sequencer.ts'
import type { AuditOptions } from './options.ts'
import type { EmergencyReceipt, Receipt, SuppressedReceipt, WrittenReceipt } from './receipt.ts'
import { Reloader, type ReloadReport } from './reload.ts'
import { type RetentionTask, startRetention } from './retention-task.ts'
import type { Sealer } from './sealer.ts'
import type { Signing } from './signing.ts'
import type { Instance } from './slots.ts'
import { type AuditState, type SpoolReading, SpoolWatch, spoolStanding } from './state.ts'
import type { Suppressions } from './suppressions.ts'
import { type SequencerThread, startSyncThread } from './threads.ts'
import { TransactionAudit } from './tx.ts'
import { Verification } from './verification.ts'
import { Witnessing } from './witnessing.ts'

export interface AuditParts {
  readonly config: AuditConfig
  readonly worker: URL
  readonly instance: Instance
  readonly signing: Signing
}

/** An open trail. Made by `createAudit`. */
export class Audit extends Emission implements AsyncDisposable {
  /** Verifier key of this trail (C2SP signed note), to be kept outside of it. */
  readonly verifierKey: string
  /** Our own OpenTelemetry provider: every record through its loggers is an audit event. */
  readonly loggerProvider: LoggerProvider
  /** The catalogue that events are held against. `createAudit` gives its type, by which `emit` knows the actions. */
  readonly catalogue: object | undefined
  readonly #config: AuditConfig
  readonly #spool: Spool
  readonly #slot: string | undefined
  readonly #sealer: Sealer
  readonly #suppressions: Suppressions
  readonly #reloader: Reloader
  readonly #emitter: Emitter
  readonly #resource: JsonObject | undefined
  readonly #destinations: Destinations
  readonly #forks: Forks
  readonly #retention: RetentionTask | undefined
  readonly #verification: Verification
  readonly #witnessing: Witnessing
  readonly #sequencer: SequencerThread | undefined
  readonly #spoolWatch = new SpoolWatch()
  readonly #observation: Observation
  readonly #releaseSync: () => void
  /** How to stop listening to the process. */
  readonly #endings: (() => void)[] = []
  #closing: Promise<void> | undefined

  constructor({ config, worker, instance, signing }: AuditParts) {
    super()
    const { spool, slot, destinations, adopt } = instance
    const counts = new EventCounts(config.metrics.actions)
    this.#config = config
    this.#spool = spool
    this.#slot = slot
    this.verifierKey = signing.signer.verifierKey
    this.catalogue = config.catalogue
    this.#resource = keptMembers(config.resource)
    const inForce = compileInForce(config)
    const syncTimes = new SyncTimes()
    const sources = {
      state: () => this.state,
      counts,
      suppressed: () => this.#suppressions.totals(),
      syncs: () => syncTimes.read(),
      retention: () => this.#retention?.counts,
      verification: () => this.#verification.counts,
    }
    const emit = (event: object) => void this.#emitter.emit(event, false)
    this.#observation = new Observation({ settings: config.metrics, sources, emit })
    const onRefusal = () => this.#look()
    const { sealer, suppressions } = openSealer({ config, inForce, spool, counts, onRefusal, signing })
    this.#sealer = sealer
    this.#suppressions = suppressions
    this.#reloader = new Reloader(sealer, config, () => this.#closing !== undefined)
    const key = { pem: signing.pem, name: signing.signer.name }
    const role = { role: 'sync', start: spool.syncerStart(), key, syncTimes: syncTimes.memory } as const
    const thread = startSyncThread(worker, role, spool)
    this.#releaseSync = () => thread.setReferenced(false)
    spool.attach(thread, {
      checkpoint: (details, size) => this.#witnessing.take(details, size),
      changed: () => this.#hearSpool(),
      rotten: (finding) => this.#spoolWatch.hearRot(spool.directory, finding),
    })
    signing.remember(() => spool.durable(sealer.head))
    const place = { directory: spool.directory, memory: spool.positions.memory }
    const durable = (record: RecordNumber) => spool.durable(record)
    this.#witnessing = new Witnessing({ sealer, config, worker, spool: place })
    this.#forks = new Forks({ sealer: this.#sealer, durable, isClosing: () => this.#closing !== undefined })
    this.#destinations = new Destinations(
      { worker, start: { ...place, destinations, adopt }, isExternal: config.isExternal },
      {
        heard: () => this.#look(),
        ahead: (name, found) => this.#forks.hearAhead(name, found),
        seal: (fact) => this.#forks.seal(fact),
      },
    )
    this.#sequencer = openSequencer({ config, worker, inForce, signing, directory: spool.directory })
    this.#retention = startRetention(config, this.sealOperation)
    const seal = (fact: ControlFact) => void sealer.sealFact(fact)
    const verified = { worker, directory: spool.directory, verifierKeys: signing.verifierKeys, seal }
    this.#verification = new Verification({ ...verified, intervalMinutes: config.verifyIntervalMinutes })
    this.#emitter = new Emitter(sealer, this.#resource)
    this.loggerProvider = this.#emitter.provider
    this.#endings.push(syncAtExit(spool, () => this.#account()))
    const reload = (source: 'SIGHUP' | 'file') => void this.#reloader.reload(source)
    this.#endings.push(...listenToProcess(config, { close: () => this.close(), reload }))
  }

  /**
   * Records an event: on return it is in the spool and survives SIGKILL (receipt `written`), was not wanted by policy
   * (`suppressed`), or went to standard error because the spool could not take it (`emergency`). Never throws.
   */
  emit<const Action extends ActionName<this['catalogue']>>(event: Emitted<this['catalogue'], Action>): Receipt {
    return this.#emitter.emit(event, false)
  }

  /**
   * Records an event that must not be done without, before what it is about goes on: the spool keeps a reserve for it.
   * Resolves when the record survives power loss (`durable`), or when the destination of this name has durably
   * confirmed it, however long that takes; also when policy does not want the event. Rejects with an `AuditError` when
   * that cannot be: the event then went to standard error, or (`INVALID_OPTION`) no destination has this name.
   * Default of `until`: `durable`, or with `async: false` the first `postgres` destination.
   */
  async emitRequired<const Action extends ActionName<this['catalogue']>>(
    event: Emitted<this['catalogue'], Action>,
    { until = this.#config.requiredUntil }: { until?: string | undefined } = {},
  ): Promise<WrittenReceipt | SuppressedReceipt> {
    if (until !== 'durable') this.#destinations.check(until)
    const receipt = this.#emitter.emit(event, true)
    await receipt.durable
    if (until !== 'durable' && receipt.status === 'written') await this.#destinations.confirmed(until, receipt)
    return receipt as Exclude<Receipt, EmergencyReceipt> // whose durable has rejected
  }

  /**
   * Emits into the transaction that `client` is in: a `pg` client, or anything with `query(text, values)` that runs a
   * statement there (docs/postgres.md shows it for other libraries). The database needs `otel-audit migrate up`, and a
   * sequencer that seals.
   */
  tx(client: TransactionClient): TransactionAudit<this['catalogue']> {
    return new TransactionAudit({ client, sealer: this.#sealer, resource: this.#resource })
  }

  child(bindings: AuditBindings): Bound<this['catalogue']> {
    return new BoundAudit(this, bindings) as Bound<this['catalogue']>
  }

  /** Everything emitted so far is durable and confirmed by every destination, however long that takes. */
  async flush(): Promise<void> {
    await this.#spool.durable(this.#sealer.head)
    await this.#destinations.flush()
  }

  /**
   * Reads the configuration again, from where the trail was opened: policy and redaction hold from the next event on,
   * everything else after a restart. `options` stand for what was given in code: `{ policy }` replaces the policy as a
   * whole and leaves the rest. The change is sealed before it holds (`audit.policy.changed`). A configuration with
   * anything wrong in it changes nothing (`audit.policy.rejected`). Never rejects: the report says what came of it.
   */
  reload(options?: AuditOptions): Promise<ReloadReport> {
    const isByCode = options !== undefined || this.#config.sources.environment === undefined
    return Promise.resolve(this.#reloader.reload(isByCode ? 'code' : 'env', options))
  }

  /** Answers `/metrics`, `/healthz` and `/readyz` over HTTP until `close` (docs/operations.md). Rejects where it cannot. */
  serve(options?: ServeOptions): Promise<HealthServer> {
    return this.#observation.serve(options)
  }

  /**
   * Ends the stream: seals its end, makes everything durable and covered by a checkpoint, then gives destinations
   * `closeTimeoutMs`. What they have not confirmed by then is sent at the next start. Call it once or often.
   */
  close(): Promise<void> {
    this.#closing ??= this.#closeOnce()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get state(): AuditState {
    const { head, emergencies } = this.#sealer
    const reading = this.#reading()
    return {
      ...spoolStanding(reading),
      stream: head.stream,
      sequence: head.sequence,
      durable: this.#spool.durableSequence,
      emergencies,
      destinations: this.#destinations.states,
      outbox: this.#sequencer?.state,
      witnesses: this.#witnessing.states,
      anchors: this.#witnessing.anchors,
      slot: this.#slot,
      adopted: this.#destinations.adopted,
      lastError: reading.reason === '' ? (this.#spoolWatch.rot ?? this.#destinations.lastError) : reading.reason,
    }
  }

  /** For our processor in a user's own provider: seals, and hands back the event as the trail has it. */
  seal(input: unknown, source: SealSource): SealOutcome {
    const resource = source.resource ?? this.#resource
    const { receipt, event } = this.#sealer.sealShown(input, { ...source, resource })
    return { event, mark: receipt.status === 'written' ? receipt : undefined }
  }

  /** For an operations stream: seals what became of records of another one; resolves to whether that is durable. */
  sealFact(fact: DeliveryFact): Promise<boolean> {
    return this.#forks.seal(fact)
  }

  /** For an operations stream: seals an operator's act; its place once it is durable, `undefined` when it is not. */
  readonly sealOperation = (fact: ControlFact): Promise<RecordNumber | undefined> => this.#forks.sealOperation(fact)

  #reading(): SpoolReading {
    const { failure, state, directory, reason, usedBytes: bytes } = this.#spool
    const isClosed = this.#closing !== undefined && failure === undefined
    return { state: isClosed ? 'closed' : state, directory, reason, bytes, bytesMax: this.#config.spool.bytesMax }
  }

  /** Says what is new about the spool. */
  #look(): void {
    const reading = this.#reading()
    if (reading.state !== 'closed') this.#spoolWatch.look({ ...reading, state: reading.state })
  }

  #hearSpool(): void {
    this.#look()
    if (this.#spool.state === 'ok' && this.#closing === undefined) this.#sealer.accountEmergencies()
  }

  /** Seals what accounts for events that are no records. */
  #account(): void {
    this.#sealer.accountEmergencies()
    this.#sealer.accountSuppressed()
  }

  async #closeOnce(): Promise<void> {
    this.#retention?.stop()
    this.#verification.stop()
    this.#account()
    this.#sealer.close()
    this.#sealer.sealFact({ type: 'audit.stream.closed', details: {} })
    const sequenced = this.#sequencer?.stop()
    const spool = this.#spool
    const timeoutMs = this.#config.closeTimeoutMs
    const stop = () => {
      this.#suppressions.close() // control is ours as long as the lock is
      return spool.stop()
    }
    await endTrail({
      spool: { directory: spool.directory, finish: () => spool.finish(), stop },
      delivery: this.#witnessing.endBeside(this.#destinations, timeoutMs),
      timeoutMs,
      releaseSync: this.#releaseSync,
    })
    await sequenced
    for (const forget of this.#endings) forget()
    await this.loggerProvider.shutdown()
    await this.#observation.close()
  }
}

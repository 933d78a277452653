/**
 * `createAudit` and the `Audit` it returns: wires the stages, owns the life cycle. Emission is synchronous and never
 * throws; what can be wrong here (options, key, lock, spool, a local file) throws before the first event, and remote
 * trouble never does: it stands in `state` and in one line on standard error.
 */

import type { AnyValue, Logger } from '@opentelemetry/api'
import type { LoggerProvider } from '@opentelemetry/sdk-logs'
import { originOf } from '../chain/checkpoint.ts'
import { loadOrCreateSigner } from '../chain/keys.ts'
import type { Signer } from '../chain/note.ts'
import type { DestinationOptions } from '../destination/destination.ts'
import { checkFileWritable } from '../destination/file.ts'
import { errorText } from '../errors.ts'
import type { JsonObject } from '../event/canonical.ts'
import type { AuditEvent } from '../event/event.ts'
import type { DeliveryMessage } from '../forward/delivery.ts'
import type { ForwarderState } from '../forward/forwarder.ts'
import { checkpointLagMax } from '../limits.ts'
import type { SealOutcome, SealSource } from '../otel/processor.ts'
import { createOwnProvider } from '../otel/provider.ts'
import { keptMembers } from '../otel/resource.ts'
import { compilePolicy } from '../policy/policy.ts'
import { compileRedaction } from '../policy/redact.ts'
import { Spool } from '../spool/spool.ts'
import { type AuditConfig, type AuditOptions, readOptions } from './config.ts'
import { type AuditContext, runInContext } from './context.ts'
import { notice } from './notice.ts'
import type { Receipt } from './receipt.ts'
import { Sealer } from './sealer.ts'
import { DeliveryThread, startSyncThread, workerModule } from './threads.ts'

/** How things stand, without waiting for anything. */
export interface AuditState {
  /** `failed`: nothing becomes durable any more, and events go to standard error. */
  readonly spool: 'ok' | 'failed' | 'closed'
  readonly stream: string
  /** Sequence of the last record sealed. */
  readonly sequence: number
  /** Sequence of the last record that survives power loss. */
  readonly durable: number
  /** Records that went to standard error instead of the spool. */
  readonly emergencies: number
  readonly destinations: readonly ForwarderState[]
  readonly lastError: string | undefined
}

/** Opens the trail. Throws `AuditError` for what is wrong here and now; remote trouble never throws. */
export function createAudit(options: AuditOptions = {}): Audit {
  const config = readOptions(options)
  for (const destination of config.destinations) if (destination.type === 'file') checkFileWritable(destination.path)
  const worker = workerModule(config.workerUrl)
  const spool = Spool.open({ directory: config.spoolDirectory, deployment: config.deployment })
  try {
    const signer = loadOrCreateSigner(config.signingKeyFile, config.deployment)
    sayStart(config)
    return new Audit({ config, worker, spool, signer })
  } catch (error) {
    spool.abandon()
    throw error
  }
}

function sayStart(config: AuditConfig): void {
  const { policy } = config
  if (!policy.enabled) notice('policy.enabled is false: no event is recorded')
  else if (!policy.levelGiven)
    notice(`policy.level is ${policy.level} (the default): reads are recorded only if denied`)
  if (config.redact.preset === 'off') notice('redact.preset is off: secrets in events are recorded as they come')
  if (config.isKeyDefault) {
    notice('keys.signingKeyFile is not set: the key lies in the spool directory, beside what it signs')
  }
  if (config.unenforced.length > 0) {
    const settings = config.unenforced.map((key) => `spool.${key}`).join(', ')
    notice(`${settings}: no effect yet; nothing is reclaimed, the spool grows until the disk is full`)
  }
}

interface AuditParts {
  readonly config: AuditConfig
  readonly worker: URL
  readonly spool: Spool
  readonly signer: Signer
}

/** An open trail. Made by `createAudit`. */
export class Audit implements AsyncDisposable {
  /** Verifier key of this trail (C2SP signed note), to be kept outside of it. */
  readonly verifierKey: string
  /** Our own OpenTelemetry provider: every record through its loggers is an audit event. */
  readonly loggerProvider: LoggerProvider
  readonly #config: AuditConfig
  readonly #spool: Spool
  readonly #sealer: Sealer
  readonly #logger: Logger
  readonly #resource: JsonObject | undefined
  readonly #delivery: DeliveryThread | undefined
  #destinations: readonly ForwarderState[]
  #lastError: string | undefined
  #lastReceipt: Receipt | undefined
  #closing: Promise<void> | undefined

  constructor({ config, worker, spool, signer }: AuditParts) {
    const { state } = spool.recovered
    this.#config = config
    this.#spool = spool
    this.verifierKey = signer.verifierKey
    this.#resource = keptMembers(config.resource)
    this.#destinations = config.destinations.map(startingState)
    const redaction = compileRedaction(config.redact)
    this.#sealer = new Sealer({
      policy: compilePolicy({ ...config.policy, redaction }),
      redaction,
      spool,
      service: config.service,
      head: {
        stream: state.stream,
        epoch: state.epoch,
        sequence: state.watermark.nextSequence - 1,
        hash: state.watermark.hash,
        recorded: state.watermark.recorded,
      },
    })
    this.#sealOpened()
    const start = spool.syncerStart(originOf(config.deployment, state.stream))
    const thread = startSyncThread(
      worker,
      { role: 'sync', start, key: { file: config.signingKeyFile, name: signer.name } },
      spool,
    )
    spool.attach(thread, (details, size) => this.#sealCheckpoint(details, size))
    this.#delivery = this.#startDelivery(worker)
    const own = createOwnProvider((input, trace) => {
      const ambient = { trace, resource: this.#resource, handBack: false }
      this.#lastReceipt = this.#sealer.seal(input, ambient).receipt
    })
    this.loggerProvider = own.provider
    this.#logger = own.logger
  }

  /**
   * Records an event: on return it is in the spool and survives SIGKILL (receipt `written`), was not wanted by policy
   * (`suppressed`), or went to standard error because the spool could not take it (`emergency`). Never throws.
   */
  emit(event: AuditEvent): Receipt {
    this.#lastReceipt = undefined
    this.#logger.emit({ body: event as unknown as AnyValue })
    return this.#lastReceipt ?? this.#afterShutdown(event)
  }

  /** Runs `fn`; events emitted within, also behind `await` and timers, take what they lack from `context`. */
  withContext<T>(context: AuditContext, fn: () => T): T {
    return runInContext(context, fn)
  }

  /** Everything emitted so far is durable and confirmed by every destination, however long that takes. */
  async flush(): Promise<void> {
    await this.#spool.durable(this.#sealer.head.sequence)
    await this.#delivery?.flush()
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
    const { head } = this.#sealer
    return {
      spool: this.#spool.failure !== undefined ? 'failed' : this.#closing !== undefined ? 'closed' : 'ok',
      stream: head.stream,
      sequence: head.sequence,
      durable: this.#spool.positions.durable().nextSequence - 1,
      emergencies: this.#sealer.emergencies,
      destinations: this.#destinations,
      lastError: this.#spool.failure?.message ?? this.#lastError,
    }
  }

  /** For our processor in a user's own provider: seals, and hands back the event as the trail has it. */
  seal(input: unknown, source: SealSource): SealOutcome {
    const resource = source.resource ?? this.#resource
    const { receipt, event } = this.#sealer.seal(input, { ...source, resource, handBack: true })
    return { event, mark: receipt.status === 'written' ? receipt : undefined }
  }

  #afterShutdown(event: AuditEvent): Receipt {
    const ambient = { trace: undefined, resource: this.#resource, handBack: false }
    this.#sealer.close() // somebody shut our provider down: say so on the emergency path instead of losing the event
    return this.#sealer.seal(event, ambient).receipt
  }

  #sealOpened(): void {
    const { previousEnd, recovered, tornBytes, predecessor } = this.#spool.recovered
    const reason = predecessor?.reason ?? (previousEnd === 'none' ? 'first' : 'reopened')
    const opened = {
      deployment: this.#config.deployment,
      reason,
      previous_end: previousEnd,
      recovered,
      torn_bytes: tornBytes,
    }
    const link = predecessor === undefined ? {} : { predecessor: predecessorMembers(predecessor) }
    this.#sealer.sealControl('audit.stream.opened', { ...opened, quarantined: 0, ...link })
  }

  /** A checkpoint that came too late covers too little: drop it, the sync thread makes another. */
  #sealCheckpoint(details: { note: string; frontier: readonly string[] }, size: number): void {
    if (this.#sealer.head.sequence + 1 - size > checkpointLagMax) return
    this.#sealer.sealControl('audit.checkpoint', { note: details.note, frontier: [...details.frontier] })
  }

  #startDelivery(worker: URL): DeliveryThread | undefined {
    const { destinations } = this.#config
    if (destinations.length === 0) return undefined
    const { positions, directory, recovered } = this.#spool
    const start = { directory, memory: positions.memory, stream: recovered.state.stream, destinations }
    return new DeliveryThread(worker, { role: 'deliver', start }, (message) => this.#hear(message))
  }

  #hear(message: DeliveryMessage): void {
    if (message.kind === 'states') this.#destinations = message.states
    if (message.kind === 'changed') this.#hearChange(message.state)
    if (message.kind === 'failed') {
      this.#lastError = `destination ${message.name}: ${message.reason}`
      notice(`destination ${message.name} has stopped: ${message.reason}; its records stay in the spool`)
    }
  }

  #hearChange(state: ForwarderState): void {
    this.#destinations = [...this.#destinations.filter((one) => one.name !== state.name), state]
    this.#lastError = state.lastError === undefined ? undefined : `destination ${state.name}: ${state.lastError}`
    if (state.condition === 'ok') notice(`destination ${state.name} takes records again`)
    else notice(`destination ${state.name} does not take records: ${state.lastError}; they are kept and sent again`)
  }

  async #closeOnce(): Promise<void> {
    this.#sealer.close()
    this.#sealer.sealControl('audit.stream.closed', {})
    try {
      await this.#spool.finish()
      if (this.#delivery !== undefined) await within(this.#config.closeTimeoutMs, this.#delivery.flush())
    } catch (error) {
      notice(`closing: ${errorText(error)}`)
    }
    await this.#delivery?.stop()
    await this.#spool.stop()
    await this.loggerProvider.shutdown()
  }
}

/** What is known of a destination before the delivery thread has said anything. */
function startingState({ name, type }: DestinationOptions): ForwarderState {
  const nothing = { confirmed: undefined, delivered: 0, failures: 0, backlog: undefined }
  return { name: name ?? type, condition: 'ok', ...nothing }
}

function predecessorMembers(predecessor: {
  stream: string
  sequence: number
  hash: string | undefined
  reason: string
}): JsonObject {
  const { stream, sequence, hash, reason } = predecessor
  return { stream, seq: sequence, ...(hash === undefined ? {} : { hash }), reason }
}

async function within(limitMs: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs)
  })
  await Promise.race([work, deadline])
  clearTimeout(timer)
}

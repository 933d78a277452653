/**
 * `otel-audit forward --postgres URL`: seals the outbox of a database and delivers its journal, until a signal or, with
 * `--once`, until everything that is there is sealed and delivered. Never prints the URL: it may hold a password.
 */

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AuditConfig } from '../audit/config.ts'
import { notice } from '../audit/notice.ts'
import { compileInForce } from '../audit/open-sealer.ts'
import { openSigning } from '../audit/signing.ts'
import { outboxMetric, sinkMetrics } from '../audit/sink-metrics.ts'
import { nowMs } from '../clock.ts'
import { AuditError, errorText } from '../errors.ts'
import { JournalDelivery, type JournalListener, type JournalState } from '../forward/journal.ts'
import { deliveredElsewhere } from '../forward/journal-source.ts'
import type { ForwarderState } from '../forward/standing.ts'
import { reasonsAgainstLag } from '../postgres/sealing-lag.ts'
import { SeenHeadFile } from '../postgres/seen-head.ts'
import type { SequencerState } from '../postgres/sequencing.ts'
import { openSequencing } from '../postgres/sequencing-thread.ts'
import type { CommandIo } from './command.ts'
import { readForwardConfig } from './forward-config.ts'
import { JournalEvents } from './forward-events.ts'
import { isOverdue, type ListeningLine, openForwardHealth, troublesOf } from './forward-health.ts'
import { listenToSignals, type Signals } from './forward-signals.ts'
import { formatCount } from './spool-arguments.ts'

/** A line that `forward --postgres --json` prints: when something changes, and `ended` at the end. */
export type JournalLine =
  /** The sequencer began or ceased to fail. */
  | { readonly event: 'sequencer'; readonly sequencer: SequencerState }
  /** A destination began or ceased to fail. */
  | { readonly event: 'changed'; readonly destination: ForwarderState }
  /** Why the journal is not read for a destination; without a reason it is read again. */
  | { readonly event: 'obstructed'; readonly name: string; readonly reason?: string | undefined }
  /** The destination refuses a record by itself: it lies in quarantine, and delivery goes on. */
  | {
      readonly event: 'quarantined'
      readonly name: string
      readonly stream: string
      readonly sequence: number
      readonly reason: string
    }
  /** Metrics and health are answered there. */
  | ListeningLine
  /** `isDrained`: everything that was committed is sealed and confirmed. */
  | ({ readonly event: 'ended'; readonly isDrained: boolean } & JournalState)

interface Output {
  readonly once: boolean
  readonly json: boolean
  readonly state?: string | undefined
  readonly config?: string | undefined
  readonly listen?: string | undefined
}

export async function forwardJournal(url: string, output: Output, io: CommandIo): Promise<number> {
  const config = await readForwardConfig(output.config, { json: output.json, env: io.env })
  const say = output.json ? printJson(io) : printText(io)
  const directory = output.state ?? 'audit-journal'
  const seen = new SeenHeadFile(directory)
  const troubles = new Troubles()
  const delivery = await openDelivery(url, { config, seen, say, troubles, directory })
  const { events, health } = await openHealth(url, { config, delivery, troubles, output, io })
  const signals = listenToSignals()
  try {
    const isDrained = output.once ? await drain(delivery, signals) : await run(delivery, signals, config)
    say({ event: 'ended', isDrained, ...delivery.state() })
    return output.once && !isDrained ? 1 : 0
  } finally {
    signals.forget()
    await health?.close()
    await events.close()
  }
}

/** What is wrong now, and since when, by what it is about. */
class Troubles {
  readonly #since = new Map<string, { readonly reason: string; readonly since: number }>()

  note(about: string, reason: string | undefined): void {
    const { since = nowMs() } = this.#since.get(about) ?? {}
    if (reason === undefined) this.#since.delete(about)
    else this.#since.set(about, { reason, since })
  }

  overdue(): string[] {
    return [...this.#since].flatMap(([about, { reason, since }]) => (isOverdue(since) ? [`${about}: ${reason}`] : []))
  }
}

interface HealthOpening {
  readonly config: AuditConfig
  readonly delivery: JournalDelivery
  readonly troubles: Troubles
  readonly output: Output
  readonly io: CommandIo
}

async function openHealth(url: string, { config, delivery, troubles, output, io }: HealthOpening) {
  const events = new JournalEvents(url, io.stderr)
  const health = await openForwardHealth({
    config,
    io,
    json: output.json,
    listen: output.listen,
    definitions: [...sinkMetrics, outboxMetric],
    sources: {
      destinations: () => delivery.state().destinations,
      outbox: () => delivery.state().sequencer.backlog,
    },
    reasons() {
      const { sequencer, destinations } = delivery.state()
      const { backlog: events, oldestSeconds } = sequencer
      return [...troubles.overdue(), ...reasonsAgainstLag({ events, oldestSeconds }), ...troublesOf(destinations)]
    },
    refused: (event) => events.emit(event),
  })
  return { events, health }
}

type Say = (line: JournalLine) => void

interface Opening {
  readonly config: AuditConfig
  readonly seen: SeenHeadFile
  readonly say: Say
  readonly troubles: Troubles
  readonly directory: string
}

function openDelivery(url: string, { config, seen, say, troubles, directory }: Opening): Promise<JournalDelivery> {
  const { policy } = compileInForce(config)
  const signingKeyFile = config.isKeyDefault ? join(directory, 'audit.key') : config.signingKeyFile
  if (config.isKeyDefault) notice(keyText(signingKeyFile))
  const { service, redact, outboxStandbys: standbys } = config
  const { signer, rotations } = openSigning({ ...config, signingKeyFile }, directory)
  const start = {
    url,
    directory,
    service,
    policy: { hash: policy.hash, level: policy.level },
    redact,
    rotations,
    standbys,
  }
  const sequencing = openSequencing(start, {
    signer,
    seen,
    onChange(sequencer) {
      troubles.note('the outbox is not sealed', sequencer.condition === 'ok' ? undefined : sequencer.lastError)
      troubles.note('the journal is not signed', sequencer.unconfirmed)
      say({ event: 'sequencer', sequencer })
    },
  })
  const listener: JournalListener = {
    changed: (destination) => say({ event: 'changed', destination }),
    obstructed(name, reason) {
      const isElsewhere = reason === deliveredElsewhere // this one stands by
      troubles.note(`the journal is not read for ${name}`, isElsewhere ? undefined : reason)
      say({ event: 'obstructed', name, reason })
    },
    quarantined(name, { records: [record], reason }) {
      if (record === undefined) return
      const { stream, sequence } = record
      say({ event: 'quarantined', name, stream, sequence, reason })
    },
  }
  return JournalDelivery.open({ url, destinations: config.destinations, sequencing, seen, standbys, listener })
}

async function drain(delivery: JournalDelivery, { first }: Signals): Promise<boolean> {
  try {
    return await delivery.drain(first)
  } catch (cause) {
    if (cause instanceof AuditError) throw cause
    throw new AuditError('SOURCE_UNREADABLE', `the database cannot be used: ${errorText(cause)}`, {
      setting: '--postgres',
      hint: 'Check that the server runs, the URL, and that `otel-audit migrate up` has been run there.',
      cause,
    })
  }
}

/** Said where a key is made, or was: not everybody looks into the directory. */
function keyText(file: string): string {
  return (
    `keys.signingKeyFile is not set: the journal is signed with ${file}, which is made where it is missing. Every process ` +
    'that seals this journal needs the same key, and verification its public half (otel-audit key public)'
  )
}

/** Until a signal; then what is on its way has `closeTimeoutMs`. */
async function run(delivery: JournalDelivery, { first, second }: Signals, config: AuditConfig): Promise<boolean> {
  const stopping = new AbortController()
  const running = delivery.run(stopping.signal)
  if (!first.aborted) await new Promise((resolve) => first.addEventListener('abort', resolve, { once: true }))
  stopping.abort()
  const late = sleep(config.closeTimeoutMs, false, { ref: false, signal: second }).catch(() => false)
  return Promise.race([running.then(() => true), late])
}

function printJson({ stdout }: CommandIo): Say {
  return (line) => void stdout.write(`${JSON.stringify(line)}\n`)
}

function printText({ stdout, stderr }: CommandIo): Say {
  return (line) => {
    if (line.event === 'ended') return void stdout.write(describeEnd(line))
    stderr.write(`otel-audit: ${describe(line)}\n`)
  }
}

function describe(line: Exclude<JournalLine, { event: 'ended' }>): string {
  if (line.event === 'listening') return `metrics and health are at ${line.url}`
  if (line.event === 'quarantined')
    return (
      `destination ${line.name} refuses record ${line.sequence} of stream ${line.stream} by itself (${line.reason}): ` +
      'it lies in audit.quarantine (otel-audit quarantine list --postgres URL)'
    )
  if (line.event === 'obstructed')
    return line.reason === undefined
      ? `the journal is read again for ${line.name}`
      : `the journal is not read for ${line.name}: ${line.reason}`
  if (line.event === 'sequencer' && line.sequencer.unconfirmed !== undefined && line.sequencer.condition === 'ok')
    return `the journal is not signed: ${line.sequencer.unconfirmed}; nothing is lost, it is tried again`
  const { condition, lastError } = line.event === 'sequencer' ? line.sequencer : line.destination
  const what = line.event === 'sequencer' ? 'the outbox is' : `destination ${line.destination.name}: records are`
  return condition === 'ok'
    ? `${what} taken again`
    : `${what} not taken: ${lastError}; nothing is lost, it is tried again`
}

function describeEnd({ sequencer, destinations }: JournalState): string {
  const lines = destinations.map(({ name, delivered, quarantined }) => {
    const aside = quarantined === 0 ? '' : `, ${formatCount(quarantined, 'record')} set aside`
    return `${name}: ${formatCount(delivered, 'record')} delivered${aside}\n`
  })
  return `${formatCount(sequencer.sealed, 'event')} sealed\n${lines.join('')}`
}

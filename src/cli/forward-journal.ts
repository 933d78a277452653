/**
 * `otel-audit forward --postgres URL`: seals the outbox of a database and delivers its journal, until a signal or, with
 * `--once`, until everything that is there is sealed and delivered. Never prints the URL: it may hold a password.
 */

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AuditConfig } from '../audit/config.ts'
import { compileInForce } from '../audit/open-sealer.ts'
import { openSigning } from '../audit/signing.ts'
import { AuditError, errorText } from '../errors.ts'
import { JournalDelivery, type JournalListener, type JournalState } from '../forward/journal.ts'
import type { ForwarderState } from '../forward/standing.ts'
import { SeenHeadFile } from '../postgres/seen-head.ts'
import type { SequencerState } from '../postgres/sequencing.ts'
import { openSequencing } from '../postgres/sequencing-thread.ts'
import type { CommandIo } from './command.ts'
import { readForwardConfig } from './forward-config.ts'
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
  /** `isDrained`: everything that was committed is sealed and confirmed. */
  | ({ readonly event: 'ended'; readonly isDrained: boolean } & JournalState)

interface Output {
  readonly once: boolean
  readonly json: boolean
  readonly state?: string | undefined
  readonly config?: string | undefined
}

export async function forwardJournal(url: string, output: Output, io: CommandIo): Promise<number> {
  const config = await readForwardConfig(output.config, { json: output.json, env: io.env })
  const say = output.json ? printJson(io) : printText(io)
  const seen = new SeenHeadFile(output.state ?? 'audit-journal')
  const delivery = await openDelivery(url, { config, seen, say, directory: output.state ?? 'audit-journal' })
  const signals = listenToSignals()
  try {
    const isDrained = output.once ? await drain(delivery, signals) : await run(delivery, signals, config)
    say({ event: 'ended', isDrained, ...delivery.state() })
    return output.once && !isDrained ? 1 : 0
  } finally {
    signals.forget()
  }
}

type Say = (line: JournalLine) => void

interface Opening {
  readonly config: AuditConfig
  readonly seen: SeenHeadFile
  readonly say: Say
  readonly directory: string
}

function openDelivery(url: string, { config, seen, say, directory }: Opening): Promise<JournalDelivery> {
  const { policy } = compileInForce(config)
  const signingKeyFile = config.isKeyDefault ? join(directory, 'audit.key') : config.signingKeyFile
  const { service, redact } = config
  const start = { url, directory, service, policy: { hash: policy.hash, level: policy.level }, redact }
  const sequencing = openSequencing(start, {
    signer: openSigning({ ...config, signingKeyFile }, directory).signer,
    seen,
    onChange: (sequencer) => say({ event: 'sequencer', sequencer }),
  })
  const listener: JournalListener = {
    changed: (destination) => say({ event: 'changed', destination }),
    obstructed: (name, reason) => say({ event: 'obstructed', name, reason }),
  }
  return JournalDelivery.open({ url, destinations: config.destinations, sequencing, seen, listener })
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
  if (line.event === 'obstructed')
    return line.reason === undefined
      ? `the journal is read again for ${line.name}`
      : `the journal is not read for ${line.name}: ${line.reason}`
  const { condition, lastError } = line.event === 'sequencer' ? line.sequencer : line.destination
  const what = line.event === 'sequencer' ? 'the outbox is' : `destination ${line.destination.name}: records are`
  return condition === 'ok'
    ? `${what} taken again`
    : `${what} not taken: ${lastError}; nothing is lost, it is tried again`
}

function describeEnd({ sequencer, destinations }: JournalState): string {
  const lines = destinations.map(({ name, delivered }) => `${name}: ${formatCount(delivered, 'record')} delivered\n`)
  return `${formatCount(sequencer.sealed, 'event')} sealed\n${lines.join('')}`
}

/**
 * `otel-audit forward --spool DIR`: the sidecar; `--postgres URL` goes to `forward-journal.ts`. Reads what to deliver to from the configuration of the application,
 * runs until a signal or, with `--once`, until everything is delivered, and says what changes. Owns signals and exit.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import type { AuditConfig } from '../audit/config.ts'
import { sinkMetrics } from '../audit/sink-metrics.ts'
import { AuditError } from '../errors.ts'
import { Sidecar, type SidecarState } from '../forward/sidecar.ts'
import type { SidecarListener } from '../forward/sidecar-spool.ts'
import type { ForwarderState } from '../forward/standing.ts'
import { readControl } from '../spool/control.ts'
import { diskFiles, exists } from '../spool/files.ts'
import { spoolDirectories } from '../spool/instances.ts'
import { type Command, type CommandIo, parseOptions, requireOption } from './command.ts'
import { isStdout, readForwardConfig } from './forward-config.ts'
import { type ListeningLine, openForwardHealth, reasonsAgainstSidecar } from './forward-health.ts'
import { Operations } from './forward-operations.ts'
import { listenToSignals, type Signals } from './forward-signals.ts'
import { startProgress } from './progress.ts'
import { formatCount } from './spool-arguments.ts'

/** A line that `forward --json` prints: when something changes, and `ended` at the end. */
export type ForwardLine =
  /** Another process delivers this spool. */
  | { readonly event: 'waiting'; readonly directory: string; readonly holder: string }
  /** This one does. */
  | { readonly event: 'delivering'; readonly directory: string }
  /** A destination began or ceased to fail. */
  | { readonly event: 'changed'; readonly directory: string; readonly destination: ForwarderState }
  /** Metrics and health are answered there. */
  | ListeningLine
  /** Something that somebody should know. */
  | { readonly event: 'said'; readonly directory: string; readonly text: string }
  /** `isDrained`: everything that was durable is confirmed. */
  | { readonly event: 'ended'; readonly isDrained: boolean; readonly spools: readonly SidecarState[] }

const options = {
  spool: { type: 'string' },
  postgres: { type: 'string' },
  state: { type: 'string' },
  config: { type: 'string' },
  listen: { type: 'string' },
  once: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const

const help = `Usage: otel-audit forward --spool DIR [--config FILE] [--listen ADDRESS] [--once] [--json]
       otel-audit forward --postgres URL [--state DIR] [--config FILE] [--listen ADDRESS] [--once] [--json]

Delivers the records of a spool from a process of its own: a sidecar, for an application with delivery: 'external'.
Reads the spool beside the application as far as it is durable; when the application is gone it recovers the spool and
delivers what is left; when it comes back it goes on beside it. One process delivers a spool at a time (forward.lock): a
second one waits, and takes over when the first one ends. DIR may hold slots (instances: 'slots'), also ones that
appear later. Waits for a DIR that is not there yet. Removes no segment.

Where to deliver to is read as createAuditFromEnv does: environment before FILE. Give the sidecar the same
destinations as the application, by the same names. What a destination refuses for ever is sealed in a trail of its
own, DIR/operations, with the key that the configuration names or DIR/operations/audit.key. Its copy of a file
destination is written beside the file: audit.operations.ndjson.

With --postgres it seals the outbox of a database (audit.tx, audit.emit) and delivers the records of that journal; their
cursors lie in the database. Any number of processes may do so with one signing key, for each destination one at a time.
Without destinations it seals. What this machine has seen of the journal is kept in DIR of --state.

With --listen it answers /metrics, /healthz and /readyz over HTTP; /metrics needs the bearer token of AUDIT_METRICS_TOKEN
or AUDIT_METRICS_TOKEN_FILE (metrics.token), where one is set, and a wrong one is recorded as an event auth.failure.

SIGTERM: goes on until the application has closed and everything is delivered, at most closeTimeoutMs of the
configuration (5 s), then ends. A second signal ends at once. What is left is delivered by the next start.

Options:
  --spool DIR    the directory that spool.directory names
  --postgres URL the database; the name of its trail and its key come from the configuration
  --state DIR    where --postgres keeps what it has seen (default: ./audit-journal)
  --config FILE  JSON with the options of the application (default: AUDIT_CONFIG_FILE)
  --listen ADDRESS
                 where to show metrics and health: HOST:PORT, or a port of 127.0.0.1
                 (default: AUDIT_METRICS_LISTEN of the environment, else nowhere)
  --once         deliver everything that is durable now, then end
  --json         print a JSON object, one line each, for each change and at the end (type ForwardLine)
  -h, --help     show this

Exit codes: 0 ended by a signal, or with --once delivered; 1 --once was ended before everything was delivered;
2 could not.

Examples:
  otel-audit forward --spool ./audit-spool --config ./audit.json
  otel-audit forward --spool ./audit-spool --config ./audit.json --once
  otel-audit forward --spool /var/lib/app/audit-spool --json
  otel-audit forward --spool ./audit-spool --config ./audit.json --listen 127.0.0.1:9464
  otel-audit forward --postgres postgres://audit_relay@db.example/app --config ./audit.json
`

export const command: Command = {
  name: 'forward',
  summary: 'deliver the records of a spool from a process of its own: a sidecar',
  help,
  async run(argv, io) {
    const { values } = parseOptions({ args: [...argv], options })
    if (values.postgres !== undefined)
      return (await import('./forward-journal.ts')).forwardJournal(values.postgres, values, io)
    const directory = requireOption(values.spool, '--spool')
    const config = await readForwardConfig(values.config, { directory, json: values.json, env: io.env })
    if (values.once) requireSpool(directory)
    return forward(directory, config, { ...values, io })
  },
}

interface Output {
  readonly once: boolean
  readonly json: boolean
  readonly listen?: string | undefined
  readonly io: CommandIo
}

async function forward(directory: string, config: AuditConfig, output: Output): Promise<number> {
  const listener = output.json ? printJson(output.io) : printText(output.io)
  const say = (text: string) => listener.said(directory, text)
  const operations = new Operations({ directory, config, deployment: () => deploymentOf(directory), say })
  const sidecar = new Sidecar({
    directory,
    destinations: config.destinations,
    seal: (fact) => operations.seal(fact),
    listener: {
      ...listener,
      delivering(spool) {
        listener.delivering(spool)
        operations.resume()
      },
    },
  })
  const health = await openForwardHealth({
    ...output,
    listen: output.listen,
    config,
    definitions: sinkMetrics,
    sources: { destinations: () => sidecar.states().flatMap(({ destinations }) => destinations) },
    reasons: () => reasonsAgainstSidecar(directory, sidecar.states()),
    refused: (event) => operations.emit(event),
  })
  const signals = listenToSignals()
  const stopping = new AbortController()
  const running = sidecar.run(stopping.signal)
  const showing = showProgress(sidecar, output.io)
  try {
    const ended = output.once ? drainOnce(sidecar, operations, signals) : drainAtSignal(sidecar, config, signals)
    if (!output.once && !exists(directory)) say('it does not exist yet: waiting for the application to make it')
    // A run that ends by itself has rejected: only what is wrong with the configuration does that.
    const isDrained = await Promise.race([ended, running.then(() => false)])
    const spools = sidecar.states()
    stopping.abort()
    await running
    await health?.close()
    await operations.close()
    showing.stop()
    printEnd({ event: 'ended', isDrained, spools }, config, output)
    return output.once && !isDrained ? 1 : 0
  } finally {
    stopping.abort()
    showing.stop()
    signals.forget()
    await health?.close()
  }
}

async function drainOnce(sidecar: Sidecar, operations: Operations, { first }: Signals): Promise<boolean> {
  const isDrained = await sidecar.drain('durable', first)
  if (isDrained) await operations.flush(first)
  return isDrained
}

async function drainAtSignal(sidecar: Sidecar, config: AuditConfig, { first, second }: Signals): Promise<boolean> {
  if (!first.aborted) await new Promise((resolve) => first.addEventListener('abort', resolve, { once: true }))
  const deadline = new AbortController()
  void sleep(config.closeTimeoutMs, undefined, { ref: false }).then(() => deadline.abort())
  return sidecar.drain('ended', AbortSignal.any([second, deadline.signal]))
}

function requireSpool(directory: string): void {
  const spools = exists(directory) ? spoolDirectories(diskFiles, directory) : []
  if (spools.some((spool) => exists(spool) && diskFiles.list(spool).includes('control'))) return
  throw new AuditError('SOURCE_UNREADABLE', `${directory} holds no spool`, {
    setting: '--spool',
    hint: 'Name the directory that spool.directory names; without --once the command waits for it.',
  })
}

/** The name of the trail, as the first spool that can be read has it. */
function deploymentOf(directory: string): string | undefined {
  for (const spool of spoolDirectories(diskFiles, directory)) {
    const control = readControl(diskFiles, spool)
    if (control.kind === 'state') return control.state.deployment
  }
  return undefined
}

function printJson({ stdout }: CommandIo): SidecarListener {
  const print = (line: ForwardLine) => stdout.write(`${JSON.stringify(line)}\n`)
  return {
    waiting: (directory, holder) => print({ event: 'waiting', directory, holder }),
    delivering: (directory) => print({ event: 'delivering', directory }),
    changed: (directory, destination) => print({ event: 'changed', directory, destination }),
    said: (directory, text) => print({ event: 'said', directory, text }),
  }
}

function printText({ stderr }: CommandIo): SidecarListener {
  const print = (directory: string, text: string) => stderr.write(`otel-audit: ${directory}: ${text}\n`)
  return {
    waiting: (directory, holder) => print(directory, `process ${holder} delivers it; this one waits, and takes over`),
    delivering: (directory) => print(directory, 'delivered from here'),
    changed: (directory, { name, condition, lastError }) =>
      print(
        directory,
        condition === 'ok'
          ? `destination ${name} takes records again`
          : `destination ${name} does not take records: ${lastError}; they are kept and sent again`,
      ),
    said: print,
  }
}

/** On a terminal. */
function showProgress(sidecar: Sidecar, io: CommandIo): { stop(): void } {
  const progress = startProgress(io)
  const show = () => progress.show(`${formatCount(backlogOf(sidecar.states()), 'record')} to go`)
  const timer = io.stderr.isTTY === true ? setInterval(show, 500) : undefined
  return {
    stop() {
      clearInterval(timer)
      progress.clear()
    },
  }
}

function backlogOf(spools: readonly SidecarState[]): number {
  return spools.flatMap(({ destinations }) => destinations).reduce((sum, { backlog = 0 }) => sum + backlog, 0)
}

function printEnd(
  line: Extract<ForwardLine, { event: 'ended' }>,
  { destinations }: AuditConfig,
  { json, io }: Output,
): void {
  if (json) io.stdout.write(`${JSON.stringify(line)}\n`)
  const lines = line.spools.flatMap((spool) =>
    spool.destinations.map((state) => `${spool.directory}: ${describe(state, spool.isDelivering)}\n`),
  )
  const output = destinations.some(isStdout) ? io.stderr : io.stdout
  if (!json) output.write(lines.join(''))
}

function describe({ name, delivered, quarantined, backlog }: ForwarderState, isDelivering: boolean): string {
  if (!isDelivering) return `${name}: another process delivers it`
  const aside = quarantined === 0 ? '' : `, ${formatCount(quarantined, 'record')} set aside`
  const left = backlog === undefined ? '' : `; ${formatCount(backlog, 'record')} to go`
  return `${name}: ${formatCount(delivered, 'record')} delivered${aside}${left}`
}

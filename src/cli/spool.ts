/** `otel-audit spool`: what a spool holds, whether it is whole, and its records as NDJSON. */

import { statSync } from 'node:fs'
import { AuditError } from '../errors.ts'
import { cursorName, readCursor } from '../spool/cursor.ts'
import { bootId, diskFiles } from '../spool/files.ts'
import { spoolDirectories } from '../spool/instances.ts'
import { inspectSpool } from '../spool/recover.ts'
import { openReader } from '../spool/settle.ts'
import { type SpoolView, viewSpool } from '../spool/view.ts'
import { type Command, type CommandGroup, type CommandIo, parseOptions, requireOption } from './command.ts'

/** What `spool status --json` prints. */
export interface SpoolStatus {
  readonly directory: string
  readonly deployment: string
  readonly stream: string
  readonly epoch: number
  /** A process writes it now. */
  readonly live: boolean
  /** The last writer closed it; always false while it is live. */
  readonly clean: boolean
  /** Sequence of the last durable record. */
  readonly durable: number
  readonly segments: number
  readonly destinations: readonly {
    readonly name: string
    readonly stream?: string
    readonly sequence: number
    readonly backlog?: number
  }[]
}

/** What `spool check --json` prints. */
export interface SpoolCheck {
  readonly directory: string
  readonly live: boolean
  readonly records: number
  /** What is wrong, in words; empty when the spool is whole. */
  readonly damage: readonly string[]
  /** Whole records above the last watermark; the next start carries them over. */
  readonly unsettled: number
  /** Bytes of an append that a crash cut off: never acknowledged, no damage. */
  readonly tornBytes: number
}

const status: Command = {
  name: 'spool status',
  summary: 'what a spool holds and how far each destination is',
  help: `Usage: otel-audit spool status DIR [--json]

Shows stream, durable position and the cursor of each destination. Writes nothing and takes no lock.
DIR may hold slots (instances: 'slots'): then each of them.

Options:
  --json      print one JSON object a spool, one line each (type SpoolStatus)
  -h, --help  show this

Examples:
  otel-audit spool status ./audit-spool
  otel-audit spool status ./audit-spool --json
`,
  async run(argv, io) {
    const { directory, json } = readArguments(argv)
    return forEachSpool(directory, io, (spool) => {
      const report = statusOf(spool)
      io.stdout.write(json ? `${JSON.stringify(report)}\n` : describeStatus(report))
      return 0
    })
  },
}

const check: Command = {
  name: 'spool check',
  summary: 'whether a spool is whole',
  help: `Usage: otel-audit spool check DIR [--json]

Reads every frame of the spool and says what the next start would find. Writes nothing and takes no lock.
DIR may hold slots (instances: 'slots'): then each of them.
Exit code 0: whole. 1: damaged. 2: cannot be read at all.

Options:
  --json      print one JSON object a spool, one line each (type SpoolCheck)
  -h, --help  show this

Examples:
  otel-audit spool check ./audit-spool
  otel-audit spool check ./audit-spool --json
`,
  async run(argv, io) {
    const { directory, json } = readArguments(argv)
    return forEachSpool(directory, io, (spool) => {
      const report = checkSpool(spool)
      io.stdout.write(json ? `${JSON.stringify(report)}\n` : describeCheck(report))
      return report.damage.length === 0 ? 0 : 1
    })
  },
}

const exportRecords: Command = {
  name: 'spool export',
  summary: 'print the records of a spool as NDJSON',
  help: `Usage: otel-audit spool export DIR

Prints every durable record, one line each, in order: the bytes that were sealed. Where no process writes the
spool, it is recovered first, as the next start would do. DIR may hold slots (instances: 'slots'): then one after
the other.

Options:
  -h, --help  show this

Examples:
  otel-audit spool export ./audit-spool > trail.ndjson
  otel-audit spool export ./audit-spool | gzip > trail.ndjson.gz
`,
  async run(argv, io) {
    const { directory } = readArguments(argv)
    // In order: the output is one text.
    for (const spool of spoolDirectories(diskFiles, directory)) await exportSpool(spool, io)
    return 0
  },
}

async function exportSpool(directory: string, io: CommandIo): Promise<void> {
  const reader = openReader(diskFiles, directory)
  try {
    for (;;) {
      const records = reader.next({ records: 1_000, bytes: 2 ** 20 })
      if (records.length === 0) return
      await write(io, records.map((record) => `${record.bytes.toString()}\n`).join(''))
    }
  } finally {
    reader.close()
  }
}

export const command: CommandGroup = {
  name: 'spool',
  summary: 'look into a spool: status, check, export',
  commands: [status, check, exportRecords],
}

/** Looks at each spool that a directory stands for; the worst exit code. A slot that cannot be read hides no other. */
function forEachSpool(directory: string, io: CommandIo, look: (spool: string) => number): number {
  const spools = spoolDirectories(diskFiles, directory)
  if (spools.length === 1) return look(spools[0] ?? directory)
  const codes = spools.map((spool) => {
    try {
      return look(spool)
    } catch (error) {
      if (!(error instanceof AuditError)) throw error
      io.stderr.write(`${error.message}\n  ${error.hint}\n`)
      return 2
    }
  })
  return Math.max(...codes)
}

/** Waits for a slow reader, so that a large spool is never held in memory. */
async function write(io: CommandIo, text: string): Promise<void> {
  const stream = io.stdout as { write(text: string): unknown; once?(event: 'drain', listener: () => void): unknown }
  if (stream.write(text) === false && stream.once !== undefined) {
    await new Promise<void>((resolve) => stream.once?.('drain', resolve))
  }
}

function readArguments(argv: readonly string[]): { directory: string; json: boolean } {
  const options = { json: { type: 'boolean', default: false } } as const
  const { values, positionals } = parseOptions({ args: [...argv], options, allowPositionals: true })
  const directory = requireOption(positionals[0], 'DIR')
  if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory()) {
    throw new AuditError('SOURCE_UNREADABLE', `${directory} is not a directory`, {
      setting: 'DIR',
      hint: 'Name the directory that spool.directory names.',
    })
  }
  return { directory, json: values.json }
}

function statusOf(directory: string): SpoolStatus {
  const { state, live, durable, segments } = viewSpool(diskFiles, directory)
  const names = diskFiles.list(directory).map(cursorName)
  const last = durable.nextSequence - 1
  const destinations = names
    .filter((name) => name !== undefined)
    .map((name) => {
      const { confirmed } = readCursor(diskFiles, directory, name)
      if (confirmed === undefined) return { name, sequence: 0 }
      const backlog = confirmed.stream === state.stream ? { backlog: last - confirmed.sequence } : {}
      return { name, stream: confirmed.stream, sequence: confirmed.sequence, ...backlog }
    })
  const { deployment, stream, epoch } = state
  return {
    directory,
    deployment,
    stream,
    epoch,
    live,
    clean: state.clean,
    durable: last,
    segments: segments.length,
    destinations,
  }
}

function describeStatus(report: SpoolStatus): string {
  const writer = report.live
    ? 'a process writes it'
    : report.clean
      ? 'closed'
      : 'not closed; the next start recovers it'
  const lines = [
    `${report.directory}: ${report.deployment}, ${writer}`,
    `  stream ${report.stream}, epoch ${report.epoch}, durable to sequence ${report.durable}, ${report.segments} segments`,
    ...report.destinations.map(
      (one) =>
        `  ${one.name}: confirmed to ${one.sequence}${one.backlog === undefined ? '' : `, ${one.backlog} to go`}`,
    ),
  ]
  return `${lines.join('\n')}\n`
}

function checkSpool(directory: string): SpoolCheck {
  const view = viewSpool(diskFiles, directory)
  const damage = damageIn(view)
  const counted = { directory, live: view.live, records: damage.records }
  if (view.live) return { ...counted, damage: damage.words, unsettled: 0, tornBytes: 0 }
  try {
    const found = inspectSpool(diskFiles, { directory, deployment: view.state.deployment, bootId: bootId() })
    const { records, tornBytes } = found?.tail ?? { records: [], tornBytes: 0 }
    return { ...counted, damage: damage.words, unsettled: records.length, tornBytes }
  } catch (error) {
    if (!(error instanceof AuditError)) throw error
    return { ...counted, damage: [...damage.words, error.message], unsettled: 0, tornBytes: 0 }
  }
}

/** Damaged frames and holes below the durable position; what lies above may be a torn rest. */
function damageIn(view: SpoolView): { words: string[]; records: number } {
  const words: string[] = []
  let records = 0
  let previous: { stream: string; sequence: number } | undefined
  for (const record of view.records()) {
    if (record.durable && record.damaged)
      words.push(
        `sequence ${record.sequence} does not match its checksum (segment ${record.segment}, offset ${record.offset})`,
      )
    if (record.durable && previous?.stream === record.stream && record.sequence !== previous.sequence + 1) {
      words.push(`sequences ${previous.sequence + 1} to ${record.sequence - 1} are missing (segment ${record.segment})`)
    }
    if (!record.damaged) records += 1
    previous = record
  }
  return { words, records }
}

function describeCheck(report: SpoolCheck): string {
  const head = `${report.directory}: ${report.records} records, ${report.damage.length === 0 ? 'whole' : 'damaged'}`
  const rest =
    report.unsettled === 0 && report.tornBytes === 0
      ? []
      : [
          `  the next start carries over ${report.unsettled} records; ${report.tornBytes} bytes of an unfinished append are no loss`,
        ]
  return `${[head, ...report.damage.map((words) => `  ${words}`), ...rest].join('\n')}\n`
}

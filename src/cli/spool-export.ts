/** `otel-audit spool export`: the records of a spool as NDJSON, in order, as they were sealed. */

import { errorText } from '../errors.ts'
import { diskFiles } from '../spool/files.ts'
import { openReader } from '../spool/settle.ts'
import { type Command, type CommandIo, parseOptions } from './command.ts'
import { noteOperations, operationsNoteHelp, operationsNoteOption } from './operations-note.ts'
import { readDirectories, refuseFurther, userName } from './spool-arguments.ts'

export const exportRecords: Command = {
  name: 'spool export',
  summary: 'print the records of a spool as NDJSON',
  help: `Usage: otel-audit spool export DIR [--operations DIR]

Prints every durable record, one line each, in order: the bytes that were sealed. Where no process writes the
spool, it is recovered first, as the next start would do. DIR may hold slots (instances: 'slots'): then one after
the other.

Options:
  --operations DIR  ${operationsNoteHelp}
  -h, --help        show this

Examples:
  otel-audit spool export ./audit-spool > trail.ndjson
  otel-audit spool export ./audit-spool --operations ./audit-operations > trail.ndjson
  otel-audit spool export ./audit-spool | gzip > trail.ndjson.gz
`,
  async run(argv, io) {
    const options = operationsNoteOption
    const { values, positionals } = parseOptions({ args: [...argv], options, allowPositionals: true })
    refuseFurther(positionals.slice(1))
    const directories = readDirectories(positionals[0])
    const note = async (more: object): Promise<void> => {
      const details = { who: userName(), kind: 'spool', source: 'spool', filter: {}, ...more }
      if (values.operations !== undefined)
        await noteOperations(values.operations, [{ type: 'audit.exported', details }], io)
    }
    // Before the first record leaves, and behind the last: a program that is killed in between has exported too.
    await note({ state: 'begun' })
    let count = 0
    try {
      // In order: the output is one text.
      for (const spool of directories) for await (const written of exportSpool(spool, io)) count += written
    } catch (thrown) {
      await note({ state: 'failed', count, reason: errorText(thrown) })
      throw thrown
    }
    await note({ state: 'complete', count })
    return 0
  },
}

/** Yields how many records were written, each time. */
async function* exportSpool(directory: string, io: CommandIo): AsyncGenerator<number> {
  const reader = openReader(diskFiles, directory)
  try {
    for (;;) {
      const records = reader.next({ records: 1_000, bytes: 2 ** 20 })
      if (records.length === 0) return
      await write(io, records.map((record) => `${record.bytes.toString()}\n`).join(''))
      yield records.length
    }
  } finally {
    reader.close()
  }
}

/** Waits for a slow reader, so that a large spool is never held in memory. */
async function write(io: CommandIo, text: string): Promise<void> {
  const stream = io.stdout as { write(text: string): unknown; once?(event: 'drain', listener: () => void): unknown }
  if (stream.write(text) === false && stream.once !== undefined) {
    await new Promise<void>((resolve) => stream.once?.('drain', resolve))
  }
}

/** `otel-audit quarantine list` and `show`: what destinations refused, and why. They change nothing. */

import { type Command, type CommandIo, parseOptions } from './command.ts'
import { type FoundRun, pickRuns, type QuarantineRun, withAllRuns, withRuns } from './quarantine-runs.ts'
import { formatCount } from './spool-arguments.ts'

/** What `quarantine list --json` prints. */
export interface QuarantineList {
  readonly runs: readonly QuarantineRun[]
}

const options = { postgres: { type: 'string' }, json: { type: 'boolean', default: false } } as const

export const list: Command = {
  name: 'quarantine list',
  summary: 'list the records that destinations have refused',
  help: `Usage: otel-audit quarantine list DIR | --postgres URL [--json]

Lists what destinations have refused for ever and what therefore lies in the quarantine of the spool directory DIR, or of
the journal that forward --postgres delivers: poison, which a destination refuses by itself, and forked records, in whose
place it holds others. Reads only.

Options:
  --postgres URL  the database, in the place of DIR
  --json          print one JSON object (type QuarantineList)
  -h, --help      show this

Exit codes: 0 the quarantine is empty · 1 it is not · 2 could not look

Examples:
  otel-audit quarantine list ./audit-spool
  otel-audit quarantine list ./audit-spool --json | jq -r '.runs[] | [.id, .destination, .reason] | @tsv'
  otel-audit quarantine list --postgres postgres://audit_reader@db.example/app
`,
  async run(argv, io) {
    const { values, positionals } = parseOptions({ args: [...argv], options, allowPositionals: true })
    const address = { positionals, postgres: values.postgres }
    const runs = await withAllRuns(address, async (found) => found.map(({ run }) => run))
    if (values.json) io.stdout.write(`${JSON.stringify({ runs } satisfies QuarantineList)}\n`)
    else io.stdout.write(runs.length === 0 ? 'the quarantine is empty\n' : runs.map(describeRun).join(''))
    return runs.length === 0 ? 0 : 1
  },
}

export const show: Command = {
  name: 'quarantine show',
  summary: 'print quarantined records with the reason',
  help: `Usage: otel-audit quarantine show DIR ID… [--json]
       otel-audit quarantine show --postgres URL ID… [--json]

Prints the records of the runs with these ids (quarantine list), one JSON object a line: destination, stream, seq, hash,
reason, quarantined (when) and record, the sealed text. Reads only.

Options:
  --postgres URL  the database, in the place of DIR
  --json          the same; the lines are JSON anyway
  -h, --help      show this

Examples:
  otel-audit quarantine show ./audit-spool 5f3a9c21b0de
  otel-audit quarantine show ./audit-spool 5f3a9c21b0de | jq -r .record | jq .
`,
  async run(argv, io) {
    const { values, positionals } = parseOptions({ args: [...argv], options, allowPositionals: true })
    await withRuns({ positionals, postgres: values.postgres }, async (found, ids) => {
      for (const run of requireRuns(found, ids)) showRun(run, io)
    })
    return 0
  },
}

/** The runs with these ids; `INVALID_OPTION` without any. */
export function requireRuns(found: readonly FoundRun[], ids: readonly string[]): FoundRun[] {
  return pickRuns(found, ids.length === 0 ? [''] : ids)
}

function showRun({ lines }: FoundRun, io: CommandIo): void {
  for (const line of lines()) io.stdout.write(`${JSON.stringify(line)}\n`)
}

/** A run in words, two lines. */
export function describeRun({ id, kind, destination, stream, from, to, reason, ...rest }: QuarantineRun): string {
  const range = from === to ? `record ${from}` : `${formatCount(to - from + 1, 'record')}, ${from} to ${to}`
  const asked = rest.asked === undefined ? '' : ` · ${rest.asked} is asked for`
  const refused = rest.refused === undefined ? '' : ` · refused again: ${rest.refused}`
  const sealed = rest.sealed ? '' : ' · not sealed yet'
  return `${id}  ${destination}  ${kind}  ${range} of stream ${stream}\n  ${rest.quarantined} ${reason}${sealed}${asked}${refused}\n`
}

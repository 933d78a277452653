/**
 * `otel-audit doctor`: looks for what would lose records in what surrounds the program. The configuration of a
 * collector, and what guards the trail in a database. Changes nothing, and connects to nothing but that database.
 */

import { readFileSync } from 'node:fs'
import { nearest } from '../audit/nearest.ts'
import { AuditError, errorText } from '../errors.ts'
import { type CollectorReport, type CollectorTrap, judgeCollector, trapRules } from './collector/traps.ts'
import { type Command, parseOptions, requireOption } from './command.ts'
import { judgeDatabase } from './doctor-postgres.ts'

const help = `Usage: otel-audit doctor --collector FILE [--allow TRAP]... [--json]
       otel-audit doctor --postgres URL [--json]

Names what loses records in the configuration of an OpenTelemetry collector: component, setting, why, and what to set
instead. Judges every pipeline of logs. docs/collector.md describes each trap.
Or names what departs, in a PostgreSQL database, from the roles, grants, triggers and functions that guard the trail, which
partitions of the time to come are missing, whether the outbox is sealed, what is erased and not sealed, and whether the
standbys hold what was committed.

Options:
  --collector FILE  the collector's configuration (YAML); \${env:NAME:-default} is read from the environment
  --allow TRAP      accept a trap; may be repeated. Better in the file, with the reason:
                    # otel-audit-allow TRAP [COMPONENT]: reason
  --postgres URL    a database with the schema audit (docs/postgres.md)
  --json            print the report as JSON (type CollectorReport, or DatabaseReport)
  -h, --help        show this

Exit codes: 0 nothing found, 1 something found, 2 the file or database cannot be read or judged.

Examples:
  otel-audit doctor --collector ./otelcol.yaml
  otel-audit doctor --collector ./otelcol.yaml --json
  otel-audit doctor --collector ./otelcol.yaml --allow file-answers-early
  otel-audit doctor --postgres postgres://owner@localhost/app
`

const options = {
  collector: { type: 'string' },
  postgres: { type: 'string' },
  allow: { type: 'string', multiple: true, default: [] as string[] },
  json: { type: 'boolean', default: false },
} as const

export const command: Command = {
  name: 'doctor',
  summary: "name what loses records in a collector's configuration, or what guards a database no more",
  help,
  async run(argv, io) {
    const { values } = parseOptions({ args: [...argv], options })
    if (values.postgres !== undefined) {
      if (values.collector !== undefined) throw oneOfTwo()
      return judgeDatabase(requireOption(values.postgres, '--postgres'), values.json, io)
    }
    const path = requireOption(values.collector, '--collector')
    for (const id of values.allow) checkTrap(id)
    const report = judgeCollector(path, readConfiguration(path), { allow: values.allow, env: io.env })
    io.stdout.write(values.json ? `${JSON.stringify(report)}\n` : formatReport(report))
    return report.exitCode
  },
}

function oneOfTwo(): AuditError {
  return new AuditError('INVALID_OPTION', '--collector and --postgres were both given', {
    setting: '--postgres',
    hint: 'run it once for each',
  })
}

function checkTrap(id: string): void {
  const ids = trapRules.map((rule) => rule.id)
  if (ids.includes(id)) return
  const meant = nearest(id, ids)
  const hint = meant === undefined ? `the traps are: ${[...new Set(ids)].join(', ')}` : `did you mean: --allow ${meant}`
  throw new AuditError('INVALID_OPTION', `--allow ${id}: there is no such trap`, { setting: '--allow', hint })
}

function readConfiguration(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new AuditError('SOURCE_UNREADABLE', `--collector ${path}: ${errorText(cause)}`, {
      setting: '--collector',
      hint: 'give the path of the collector configuration, a YAML file',
      cause,
    })
  }
}

function formatReport(report: CollectorReport): string {
  const { file, traps, allowed, notes, idleAllowances } = report
  const counts = [count(traps.length, 'trap'), count(allowed.length, 'allowed', ''), count(notes.length, 'note')]
  const lines = [
    `${file}: ${counts.filter((one) => one !== '').join(', ') || 'no traps'}`,
    ...traps.flatMap((trap) => describe(file, trap)),
    ...allowed.flatMap((trap) => [...describe(file, trap, 'allowed'), `    allowed: ${trap.reason}`]),
    ...notes.flatMap((trap) => describe(file, trap)),
    ...idleAllowances.map((line) => `  ${file}:${line}: this line allows nothing: no such trap there, or no reason`),
  ]
  return `${lines.join('\n')}\n`
}

function count(number: number, word: string, plural = 's'): string {
  return number === 0 ? '' : `${number} ${word}${number === 1 ? '' : plural}`
}

function describe(file: string, trap: CollectorTrap, mark: string = trap.effect): string[] {
  const { id, component, setting, found, unset, line, why, remedy } = trap
  const value = found ?? (unset === undefined ? undefined : `not set (${unset})`)
  const where = setting === '' ? component : `${component}.${setting}: ${value}`
  return [`  ${mark}  ${id}  ${file}:${line}`, `    ${where}`, `    ${why}`, `    remedy: ${remedy}`]
}

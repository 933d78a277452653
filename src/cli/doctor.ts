/**
 * `otel-audit doctor`: looks for what would lose records in what surrounds the program. So far: the configuration of a
 * collector. Reads files, changes nothing, connects to nothing.
 */

import { readFileSync } from 'node:fs'
import { nearest } from '../audit/nearest.ts'
import { AuditError, errorText } from '../errors.ts'
import { type CollectorReport, type CollectorTrap, judgeCollector, trapRules } from './collector/traps.ts'
import { type Command, parseOptions, requireOption } from './command.ts'

const help = `Usage: otel-audit doctor --collector FILE [--allow TRAP]... [--json]

Names what loses records in the configuration of an OpenTelemetry collector: component, setting, why, and what to set
instead. Judges every pipeline of logs. docs/collector.md describes each trap.

Options:
  --collector FILE  the collector's configuration (YAML); \${env:NAME:-default} is read from the environment
  --allow TRAP      accept a trap; may be repeated. Better in the file, with the reason:
                    # otel-audit-allow TRAP [COMPONENT]: reason
  --json            print the report as JSON (type CollectorReport)
  -h, --help        show this

Exit codes: 0 no traps, 1 traps, 2 the file cannot be read or judged.

Examples:
  otel-audit doctor --collector ./otelcol.yaml
  otel-audit doctor --collector ./otelcol.yaml --json
  otel-audit doctor --collector ./otelcol.yaml --allow file-answers-early
`

const options = {
  collector: { type: 'string' },
  allow: { type: 'string', multiple: true, default: [] as string[] },
  json: { type: 'boolean', default: false },
} as const

export const command: Command = {
  name: 'doctor',
  summary: "name what loses records in a collector's configuration",
  help,
  async run(argv, io) {
    const { values } = parseOptions({ args: [...argv], options })
    const path = requireOption(values.collector, '--collector')
    for (const id of values.allow) checkTrap(id)
    const report = judgeCollector(path, readConfiguration(path), { allow: values.allow, env: io.env })
    io.stdout.write(values.json ? `${JSON.stringify(report)}\n` : formatReport(report))
    return report.exitCode
  },
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

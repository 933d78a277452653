/**
 * `otel-audit config`: what a configuration comes to, before a program is started with it. Reads the environment and the
 * configuration file as `createAuditFromEnv` does; options in code are not seen. Prints no secret.
 */

import { type EffectiveSetting, effectiveSettings } from '../audit/effective.ts'
import { errorOf, type Problem } from '../audit/problem.ts'
import { requirementsOf } from '../audit/profiles.ts'
import { type ConfigReading, readConfig } from '../audit/read-config.ts'
import { type Command, type CommandGroup, type CommandIo, parseOptions } from './command.ts'

/** What `config check --json` prints. */
export interface ConfigCheck {
  /** What would stop a start; nothing when the configuration is good. */
  readonly problems: readonly Problem[]
  /** What a start would say, such as names that mean nothing. */
  readonly remarks: readonly string[]
  readonly requirements: readonly ProfileRequirement[]
}

/** What a profile asks for. */
export interface ProfileRequirement {
  readonly profile: string
  /** What asks for it, such as `PCI DSS v4.0.1, 10.2.1`. */
  readonly control: string
  readonly setting: string
  readonly allowed: string
  readonly because: string
  readonly isMet: boolean
}

/** What `config print --json` prints. */
export interface ConfigPrint {
  readonly settings: readonly EffectiveSetting[]
}

const check: Command = {
  name: 'config check',
  summary: 'whether a program could start with this environment and file',
  help: `Usage: otel-audit config check [--config FILE] [--json]

Reads the environment and the configuration file as createAuditFromEnv does, and lists everything that is
wrong, what a start would remark on, and what the chosen profiles ask for. Opens no spool, no key and no
destination; options in code are not seen.

Options:
  --config FILE  read this file in the place of AUDIT_CONFIG_FILE
  --json         print one JSON object (type ConfigCheck)
  -h, --help     show this

Exit codes: 0 nothing is wrong, 1 something is, 2 it could not be told.

Examples:
  otel-audit config check --json
  AUDIT_PROFILE=pci-dss otel-audit config check --config /etc/otel-audit/config.json
`,
  async run(argv, io) {
    const { json, reading } = readArguments(argv, io)
    const report = checkOf(reading)
    io.stdout.write(json ? `${JSON.stringify(report)}\n` : describeCheck(report))
    return report.problems.length === 0 ? 0 : 1
  },
}

const print: Command = {
  name: 'config print',
  summary: 'every setting with its value and where that came from',
  help: `Usage: otel-audit config print [--config FILE] [--json]

Prints every setting as createAuditFromEnv would have it: value, unit, and where it came from (a variable, the
file, a profile, the default). Secrets are not shown.

Options:
  --config FILE  read this file in the place of AUDIT_CONFIG_FILE
  --json         print one JSON object (type ConfigPrint)
  -h, --help     show this

Exit codes: 0 printed, 1 printed although something is wrong (config check says what), 2 could not be read.

Examples:
  otel-audit config print --config audit.json
  AUDIT_TRAIL_LEVEL=all otel-audit config print --json
`,
  async run(argv, io) {
    const { json, reading } = readArguments(argv, io)
    const report: ConfigPrint = { settings: effectiveSettings(reading) }
    const [first] = reading.problems
    if (first !== undefined && reading.config === undefined) throw errorOf(first)
    io.stdout.write(json ? `${JSON.stringify(report)}\n` : describeSettings(report.settings))
    for (const { message } of reading.problems) io.stderr.write(`otel-audit: ${message}\n`)
    return reading.problems.length === 0 ? 0 : 1
  },
}

export const command: CommandGroup = {
  name: 'config',
  summary: 'check a configuration, or print what is in force and where it came from',
  commands: [check, print],
}

function readArguments(argv: readonly string[], io: CommandIo): { json: boolean; reading: ConfigReading } {
  const options = { config: { type: 'string' }, json: { type: 'boolean', default: false } } as const
  const { values } = parseOptions({ args: [...argv], options })
  const reading = readConfig({ options: {}, environment: io.env, file: values.config })
  const unreadable = reading.problems.find(({ setting }) => setting === '--config')
  if (unreadable !== undefined) throw errorOf(unreadable)
  return { json: values.json, reading }
}

function checkOf({ problems, config }: ConfigReading): ConfigCheck {
  const requirements = config?.profiles.flatMap(requirementsOf) ?? []
  return {
    problems,
    remarks: config?.remarks ?? [],
    requirements: requirements.map((one) => {
      const { profile, control, setting, allowed, because } = one
      return { profile, control, setting, allowed, because, isMet: config !== undefined && !one.refuses(config) }
    }),
  }
}

function describeCheck({ problems, remarks, requirements }: ConfigCheck): string {
  const lines = [
    ...problems.flatMap(({ message, hint }) => [`wrong: ${message}`, `  hint: ${hint}`]),
    ...remarks.map((remark) => `remark: ${remark}`),
    ...requirements.map(({ isMet, profile, control, setting, allowed, because }) => {
      return `${isMet ? 'met' : 'NOT MET'}: ${profile}: ${setting}: ${allowed} (${control}: ${because})`
    }),
    problems.length === 0 ? 'nothing is wrong' : `${problems.length} wrong`,
  ]
  return `${lines.join('\n')}\n`
}

function describeSettings(rows: readonly EffectiveSetting[]): string {
  const cells = rows.map(({ setting, value, unit, source }) => {
    return [setting, `${describeValue(value)}${unit === undefined ? '' : ` ${unit}`}`, source] as const
  })
  const widthOf = (column: 0 | 1) => Math.min(60, Math.max(...cells.map((cell) => cell[column].length)))
  const [settingWidth, valueWidth] = [widthOf(0), widthOf(1)]
  const lines = cells.map(([setting, value, source]) => {
    return `${setting.padEnd(settingWidth)}  ${value.padEnd(valueWidth)}  ${source}`
  })
  return `${lines.join('\n')}\n`
}

function describeValue(value: unknown): string {
  if (value === undefined) return '-'
  if (Array.isArray(value) && value.length === 0) return 'none'
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value.join(',')
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

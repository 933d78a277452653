/** `otel-audit spool destination`: the names for which a spool keeps its segments, and taking one off. */

import { nearest } from '../audit/nearest.ts'
import { AuditError } from '../errors.ts'
import { destinationNames, dropDestination } from '../spool/destination-names.ts'
import { diskFiles } from '../spool/files.ts'
import { shellWord } from '../spool/refusals.ts'
import { type Command, type CommandIo, parseOptions, requireOption } from './command.ts'
import { readDirectory, refuseFurther, userName } from './spool-arguments.ts'

/** What `spool destination list|drop --json` prints. */
export interface SpoolDestinations {
  readonly directory: string
  /** The names that must confirm a segment before it goes; after a drop, those that are left. */
  readonly destinations: readonly string[]
  /** The name that this run has taken off. */
  readonly dropped?: string
}

const options = {
  json: { type: 'boolean', default: false },
  why: { type: 'string' },
  operator: { type: 'string' },
} as const

export const destination: Command = {
  name: 'spool destination',
  summary: 'list the destinations for which a spool keeps its segments, or drop one',
  help: `Usage: otel-audit spool destination list DIR [--json]
       otel-audit spool destination drop DIR NAME --why TEXT [--operator NAME] [--json]

A spool keeps every segment until each destination that it ever had has confirmed it, also one that is no longer
configured. drop takes such a name off: what it lacks may then be removed. No process may be writing the spool. The
next start seals who dropped it and why (audit.destination.dropped). A destination that is still configured comes
back with the next start, so take it out of the configuration first.

Options:
  --why TEXT       why it is dropped; sealed into the trail, at most 512 bytes
  --operator NAME  who drops it (default: the user's name)
  --json           print one JSON object (type SpoolDestinations)
  -h, --help       show this

Examples:
  otel-audit spool destination list ./audit-spool
  otel-audit spool destination drop ./audit-spool old-collector --why 'replaced by otlp-eu, ticket 812'
`,
  async run(argv, io) {
    const { values, positionals } = parseOptions({ args: [...argv], options, allowPositionals: true })
    const [verb, directory, name, ...further] = positionals
    refuseFurther(further)
    if (verb === 'list') {
      refuseFurther(name === undefined ? [] : [name])
      return list(readDirectory(directory), { json: values.json, io })
    }
    if (verb !== 'drop') throw unknownVerb(verb)
    const asked = { name: requireOption(name, 'NAME'), why: requireOption(values.why, '--why') }
    return drop(readDirectory(directory), { ...asked, operator: values.operator ?? userName() }, { ...values, io })
  },
}

interface Output {
  readonly json: boolean
  readonly io: CommandIo
}

function list(directory: string, { json, io }: Output): number {
  const report: SpoolDestinations = { directory, destinations: destinationNames(diskFiles, directory) }
  const lines = report.destinations.length === 0 ? ['(none)'] : report.destinations
  io.stdout.write(json ? `${JSON.stringify(report)}\n` : `${lines.join('\n')}\n`)
  return 0
}

function drop(directory: string, asked: { name: string; why: string; operator: string }, { json, io }: Output): number {
  const outcome = dropStopped(directory, asked)
  if (outcome.kind === 'unknown') throw unknownName(asked.name, outcome.names)
  const report: SpoolDestinations = { directory, destinations: outcome.left, dropped: asked.name }
  const left = outcome.left.length === 0 ? 'no name is left, so nothing is removed' : `left: ${outcome.left.join(', ')}`
  io.stdout.write(json ? `${JSON.stringify(report)}\n` : `dropped ${asked.name}; ${left}. The next start seals it.\n`)
  return 0
}

function dropStopped(directory: string, asked: { name: string; why: string; operator: string }) {
  try {
    return dropDestination(diskFiles, directory, asked)
  } catch (error) {
    if (!(error instanceof AuditError) || error.code !== 'SPOOL_LOCKED') throw error
    const again = `otel-audit spool destination drop ${shellWord(directory)} ${shellWord(asked.name)} --why …`
    const hint = `End that process, take ${asked.name} out of its configuration, run ${again} and start it again.`
    throw new AuditError('SPOOL_LOCKED', error.message, { setting: 'DIR', hint, cause: error })
  }
}

function unknownName(name: string, names: readonly string[]): AuditError {
  const meant = nearest(name, names)
  const hint =
    names.length === 0
      ? 'the spool keeps its segments for no destination'
      : meant === undefined
        ? `the names are: ${names.join(', ')}`
        : `did you mean ${meant}?`
  return new AuditError('INVALID_OPTION', `no destination is named ${JSON.stringify(name)}`, { setting: 'NAME', hint })
}

function unknownVerb(verb: string | undefined): AuditError {
  const message = verb === undefined ? 'list or drop is missing' : `unknown command "spool destination ${verb}"`
  const meant = verb === undefined ? undefined : nearest(verb, ['list', 'drop'])
  const hint = meant === undefined ? 'write list or drop' : `did you mean: otel-audit spool destination ${meant}`
  return new AuditError('INVALID_OPTION', message, { setting: 'COMMAND', hint })
}

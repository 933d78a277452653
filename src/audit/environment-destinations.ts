/**
 * From `AUDIT_LOG_DESTINATION` and the variables around it to destinations. Each that it names is also printed on standard
 * output while it fails; a variable that no destination uses is remarked on. The buffer variables also reach databases
 * that code or the file configures, where those leave the two options open.
 */

import type { DestinationOptions } from '../destination/destination.ts'
import { destinationSchema } from './destination-schema.ts'
import type { GivenVariable } from './environment.ts'
import { type DestinationName, type EnvironmentValues, environmentSchema } from './environment-schema.ts'
import { type Problem, problemOf, problemsOf } from './problem.ts'
import { nest } from './settings.ts'

/** A variable and the option of the destination that it sets. */
interface Member {
  readonly name: keyof EnvironmentValues
  readonly option: string
  readonly isNeeded?: true
}

const membersOf: Readonly<Record<DestinationName, readonly Member[]>> = {
  stdout: [],
  otlp: [],
  file: [
    { name: 'AUDIT_LOG_FILE_PATH', option: 'path', isNeeded: true },
    { name: 'AUDIT_LOG_FILE_MAX_MB', option: 'maxMb' },
    { name: 'AUDIT_LOG_FILE_MAX_BACKUPS', option: 'maxBackups' },
    { name: 'AUDIT_LOG_FILE_COMPRESS', option: 'compress' },
  ],
  syslog: [{ name: 'AUDIT_LOG_SYSLOG_ADDRESS', option: 'address', isNeeded: true }],
  http: [
    { name: 'AUDIT_LOG_HTTP_ENDPOINT', option: 'endpoint', isNeeded: true },
    { name: 'AUDIT_LOG_HTTP_SECRET', option: 'secret' },
    { name: 'AUDIT_LOG_HTTP_SECRET_FILE', option: 'secretFile' },
  ],
  postgres: [{ name: 'AUDIT_POSTGRES_URL', option: 'url', isNeeded: true }],
  s3: [{ name: 'AUDIT_S3_BUCKET', option: 'bucket', isNeeded: true }],
  clickhouse: [{ name: 'AUDIT_CLICKHOUSE_URL', option: 'url', isNeeded: true }],
}

const databases: ReadonlySet<string> = new Set(['postgres', 'clickhouse'])

export interface NamedDestinations {
  readonly destinations: readonly DestinationOptions[]
  readonly problems: readonly Problem[]
  readonly remarks: readonly string[]
}

type Given = ReadonlyMap<string, GivenVariable>

/** The destinations that the environment names; standard output when it names none. */
export function destinationsOf(own: Given): NamedDestinations {
  const values = valuesOf(own)
  const problems: Problem[] = []
  const remarks: string[] = []
  const destinations = [...new Set(values.AUDIT_LOG_DESTINATION)].flatMap((type) => {
    const made = makeDestination(type, { own, values, remarks })
    problems.push(...('problems' in made ? made.problems : []))
    return 'destination' in made ? [made.destination] : []
  })
  return { destinations, problems, remarks: [...remarks, ...remarkUnused(own, new Set(values.AUDIT_LOG_DESTINATION))] }
}

/** Variables that no destination uses: those of types that are not there. */
export function remarkUnused(own: Given, types: ReadonlySet<string>): string[] {
  return Object.entries(membersOf).flatMap(([type, members]) => {
    if (types.has(type)) return []
    const set = members.filter(({ name }) => own.has(name)).map(({ name }) => name)
    return set.map(
      (name) =>
        `${name} is set, but there is no destination ${type}: it has no effect (AUDIT_LOG_DESTINATION names them)`,
    )
  })
}

interface Sources {
  readonly own: Given
  readonly values: EnvironmentValues
  readonly remarks: string[]
}

function makeDestination(
  type: DestinationName,
  { own, values, remarks }: Sources,
): { readonly destination: DestinationOptions } | { readonly problems: readonly Problem[] } {
  const known = optionsOf(type)
  if (known === undefined) return { problems: [unknownType(type)] }
  const problems: Problem[] = []
  const options: [string, unknown][] = [['type', type]]
  // With standard output among them its records are printed already.
  const isPrinted = values.AUDIT_LOG_DESTINATION.includes('stdout')
  if (!isPrinted && known.has('fallback')) options.push(['fallback', 'stdout'])
  for (const { name, option, isNeeded = false } of membersOf[type]) {
    const given = own.get(name)
    if (given === undefined) problems.push(...(isNeeded ? [missing(name, type)] : []))
    else if (known.has(option)) options.push([option, given.value])
    else remarks.push(`${name} is set, but this version has no such option of ${type}: it has no effect`)
  }
  options.push(...buffersOf(type, values, () => true))
  if (problems.length > 0) return { problems }
  const made = nest(options)
  const parsed = destinationSchema.safeParse(made)
  if (parsed.success) return { destination: parsed.data as DestinationOptions }
  const nameOf = (path: string) =>
    membersOf[type].find(({ option }) => option === path)?.name ?? `AUDIT_LOG_DESTINATION (${type}.${path})`
  return { problems: problemsOf(parsed.error.issues, made, nameOf) }
}

/** Fills in what databases of code or file leave open and the environment says. */
export function fillBuffers(destinations: readonly DestinationOptions[], own: Given): DestinationOptions[] {
  const values = valuesOf(own)
  return destinations.map((destination) => {
    if (!databases.has(destination.type)) return destination
    const open = buffersOf(destination.type, values, (name) => own.has(name)).filter(
      ([option]) => destination[option as 'flushIntervalMs'] === undefined,
    )
    return { ...destination, ...nest(open) }
  })
}

/** How a destination batches; `counts` tells which variables are asked. */
function buffersOf(
  type: string,
  values: EnvironmentValues,
  counts: (name: keyof EnvironmentValues) => boolean,
): [option: string, value: unknown][] {
  const buffers: [string, unknown][] = []
  if (!databases.has(type)) {
    if (counts('AUDIT_LOG_BUFFER_SIZE')) buffers.push(['batchRecordsMax', values.AUDIT_LOG_BUFFER_SIZE])
    return buffers
  }
  if (!values.AUDIT_TRAIL_BUFFER_ENABLED)
    return [
      ['flushIntervalMs', 0],
      ['batchRecordsMax', 1],
    ]
  if (counts('AUDIT_TRAIL_BUFFER_FLUSH_INTERVAL')) {
    buffers.push(['flushIntervalMs', Math.round(values.AUDIT_TRAIL_BUFFER_FLUSH_INTERVAL * 1_000)])
  }
  if (counts('AUDIT_TRAIL_BUFFER_MAX_SIZE')) buffers.push(['batchRecordsMax', values.AUDIT_TRAIL_BUFFER_MAX_SIZE])
  return buffers
}

function valuesOf(own: Given): EnvironmentValues {
  return environmentSchema.parse(Object.fromEntries([...own].map(([name, { value }]) => [name, value])))
}

/** Names of the options that a type of destination takes; `undefined` where there is none of this type. */
function optionsOf(type: string): ReadonlySet<string> | undefined {
  const schema = destinationSchema.options.find((one) => one.shape.type.value === type)
  return schema === undefined ? undefined : new Set(Object.keys(schema.shape))
}

function missing(name: string, type: string): Problem {
  return {
    setting: name,
    message: `${name} is not set, and AUDIT_LOG_DESTINATION names ${type}, which needs it`,
    hint: `Set ${name}, or take ${type} out of AUDIT_LOG_DESTINATION.`,
  }
}

function unknownType(type: string): Problem {
  const known = destinationSchema.options.map((one) => one.shape.type.value).join(', ')
  return problemOf({ setting: 'AUDIT_LOG_DESTINATION', value: type, allowed: `${known} in this version` })
}

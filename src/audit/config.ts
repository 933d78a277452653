/**
 * The options of `createAudit`: one schema, one place for defaults, one form of error. A wrong option stops start-up
 * with the setting, the value and what is allowed; secrets never stand in an error.
 */

import { join } from 'node:path'
import { z } from 'zod'
import type { DestinationOptions } from '../destination/destination.ts'
import { isSharedFile, slotMark } from '../destination/slot-path.ts'
import { AuditError } from '../errors.ts'
import type { Level } from '../policy/level.ts'
import { destinationSchema } from './destination-schema.ts'
import { isMetricsRegistry, type MetricsRegistry } from './metrics.ts'

/** Options of `createAudit`. Every member has a default; optional members accept `undefined`. */
export interface AuditOptions {
  /** Name of the service, a member of every record. Default: `OTEL_SERVICE_NAME`, else `unknown_service`. */
  readonly service?: string | undefined
  /** Names the trail: origin of its checkpoints and name of its key. No white space, no `+`. Default: `service`. */
  readonly deployment?: string | undefined
  /** Attributes of the OpenTelemetry resource to keep in every record. Default: none. */
  readonly resource?: Readonly<Record<string, string | number | boolean>> | undefined
  readonly spool?:
    | {
        /** A directory on a local disk, one per process. Default: `./audit-spool`. */
        readonly directory?: string | undefined
        /**
         * `single`: one process writes the directory. `slots`: each process takes a numbered directory of its own below
         * it (cluster, PM2, replicas on one host), and sends on what a slot holds whose process is gone. Default: `single`.
         */
        readonly instances?: 'single' | 'slots' | undefined
        /** Bytes that all segment files together may take, at least 256 KiB. Default: 10 GiB. */
        readonly bytesMax?: number | undefined
        /**
         * What control records and `emitRequired` may take beyond `bytesMax`, and what events leave free on the disk.
         * Less than `bytesMax`. Default: 16 MiB, or an eighth of `bytesMax` where that is less.
         */
        readonly reserveBytes?: number | undefined
        /** When there is no room: `block` waits once for `blockMsMax`, `refuse` not at all. Default: `block`. */
        readonly onFull?: 'block' | 'refuse' | undefined
        /** How long one `emit` may wait for room, in milliseconds, before events go to standard error. Default: 100. */
        readonly blockMsMax?: number | undefined
        /** How long records are kept at least that every destination has confirmed. Default: 60. */
        readonly keepMinutes?: number | undefined
        /** Bytes of records in memory that are written and not yet durable. More counts as no room. Default: 64 MiB. */
        readonly unsyncedBytesMax?: number | undefined
      }
    | undefined
  readonly policy?:
    | {
        /** `false` switches audit off: nothing is recorded, and that is said once. Default: `true`. */
        readonly enabled?: boolean | undefined
        /** Which operations are recorded (docs/policy.md). Default: `writes_only`, said once at start. */
        readonly level?: Level | undefined
        /** Must be empty so far. */
        readonly rules?: readonly never[] | undefined
      }
    | undefined
  readonly redact?:
    | {
        /** `default` hides values by key names that name secrets; `off` hides only `keys`. Default: `default`. */
        readonly preset?: 'default' | 'off' | undefined
        /** More key names, hidden at any depth, whatever their case. */
        readonly keys?: readonly string[] | undefined
      }
    | undefined
  readonly keys?:
    | {
        /** PKCS#8 PEM, mode 0600; made on first use. Default: `audit.key` in the spool directory, with a warning. */
        readonly signingKeyFile?: string | undefined
      }
    | undefined
  /** Where records go. Default: nowhere; the spool keeps them. */
  readonly destinations?: readonly DestinationOptions[] | undefined
  /** Only `thread` so far: a worker thread delivers. */
  readonly delivery?: 'thread' | undefined
  /** Metrics, on a registry of prom-client. Default: none are counted. */
  readonly metrics?:
    | {
        /** Where they are registered until `close`; never prom-client's default registry by itself. */
        readonly registry?: MetricsRegistry | undefined
        /** Actions that are a label by their name; every other is `_other`. Default: none. */
        readonly actions?: readonly string[] | undefined
      }
    | undefined
  /** How long `close` waits for destinations, in milliseconds. What is left is sent at the next start. Default: 5,000. */
  readonly closeTimeoutMs?: number | undefined
  /** Close at SIGTERM, then let the signal end the process. Default: `false`, a library takes no signals. */
  readonly handleSignals?: boolean | undefined
  /** URL of the module `otel-audit/worker`, where a bundler has moved it. */
  readonly workerUrl?: string | URL | undefined
}

const name = z.string().regex(/^[^\s+]+$/, 'a name without white space and without +')
const text = z.string().min(1)
const count = z.int().positive()
/** Smallest budget: some segments, each with room for the longest record. */
const bytesLeast = 256 * 1024
/** Longest wait of one `emit` that may be asked for: an event loop that stands longer is taken for dead. */
const blockMsLimit = 10_000

const registry = z.custom<MetricsRegistry>(isMetricsRegistry, 'a Registry of prom-client')

const schema = z.strictObject({
  service: text.optional(),
  deployment: name.optional(),
  resource: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
  spool: z
    .strictObject({
      directory: text.optional(),
      instances: z.enum(['single', 'slots']).optional(),
      bytesMax: z.int().min(bytesLeast).optional(),
      reserveBytes: z.int().min(0).optional(),
      onFull: z.enum(['block', 'refuse']).optional(),
      blockMsMax: z.int().min(0).max(blockMsLimit).optional(),
      keepMinutes: z.int().min(0).optional(),
      unsyncedBytesMax: count.optional(),
    })
    .optional(),
  policy: z
    .strictObject({
      enabled: z.boolean().optional(),
      level: z.enum(['all', 'writes_only', 'mutations_only', 'deletes_only', 'failures_only']).optional(),
      rules: z.array(z.never()).optional(),
    })
    .optional(),
  redact: z.strictObject({ preset: z.enum(['default', 'off']).optional(), keys: z.array(text).optional() }).optional(),
  keys: z.strictObject({ signingKeyFile: text.optional() }).optional(),
  destinations: z.array(destinationSchema).optional(),
  delivery: z.literal('thread').optional(),
  metrics: z.strictObject({ registry: registry.optional(), actions: z.array(text).optional() }).optional(),
  closeTimeoutMs: z.int().min(0).optional(),
  handleSignals: z.boolean().optional(),
  workerUrl: z.union([text, z.instanceof(URL)]).optional(),
})

/** `spool` with every default in place. */
export interface SpoolConfig {
  readonly directory: string
  readonly instances: 'single' | 'slots'
  readonly bytesMax: number
  readonly reserveBytes: number
  readonly onFull: 'block' | 'refuse'
  readonly blockMsMax: number
  readonly keepMinutes: number
  readonly unsyncedBytesMax: number
}

/** The options with every default in place. */
export interface AuditConfig {
  readonly service: string
  readonly deployment: string
  readonly resource: Readonly<Record<string, string | number | boolean>>
  readonly spool: SpoolConfig
  readonly policy: { readonly enabled: boolean; readonly level: Level; readonly levelGiven: boolean }
  readonly redact: { readonly preset: 'default' | 'off'; readonly keys: readonly string[] }
  readonly signingKeyFile: string
  /** Not given: it lies in the spool directory. */
  readonly isKeyDefault: boolean
  readonly destinations: readonly DestinationOptions[]
  readonly closeTimeoutMs: number
  readonly handleSignals: boolean
  readonly workerUrl: string | URL | undefined
  readonly metrics: { readonly registry: MetricsRegistry | undefined; readonly actions: readonly string[] }
}

/** Checks the options and fills in the defaults. Throws `INVALID_OPTION` for the first wrong one. */
export function readOptions(options: AuditOptions): AuditConfig {
  const parsed = schema.safeParse(options)
  if (!parsed.success) throw optionError(options, parsed.error.issues[0])
  const service = options.service ?? process.env.OTEL_SERVICE_NAME ?? 'unknown_service'
  const deployment = options.deployment ?? service
  if (!name.safeParse(deployment).success) {
    throw invalid('deployment', deployment, 'a name without white space and without + (it defaults to service)')
  }
  const destinations = options.destinations ?? []
  checkNames(destinations)
  const spool = readSpool(options.spool ?? {})
  if (spool.instances === 'slots') checkPaths(destinations)
  return {
    service,
    deployment,
    resource: options.resource ?? {},
    spool,
    policy: {
      enabled: options.policy?.enabled ?? true,
      level: options.policy?.level ?? 'writes_only',
      levelGiven: options.policy?.level !== undefined,
    },
    redact: { preset: options.redact?.preset ?? 'default', keys: options.redact?.keys ?? [] },
    signingKeyFile: options.keys?.signingKeyFile ?? join(spool.directory, 'audit.key'),
    isKeyDefault: options.keys?.signingKeyFile === undefined,
    destinations,
    closeTimeoutMs: options.closeTimeoutMs ?? 5_000,
    handleSignals: options.handleSignals ?? false,
    workerUrl: options.workerUrl,
    metrics: { registry: options.metrics?.registry, actions: options.metrics?.actions ?? [] },
  }
}

function readSpool(given: NonNullable<AuditOptions['spool']>): SpoolConfig {
  const bytesMax = given.bytesMax ?? 10 * 2 ** 30
  const reserveBytes = given.reserveBytes ?? Math.min(16 * 2 ** 20, Math.floor(bytesMax / 8))
  if (reserveBytes >= bytesMax) {
    throw invalid('spool.reserveBytes', reserveBytes, `less than spool.bytesMax, which is ${bytesMax}`)
  }
  return {
    directory: given.directory ?? './audit-spool',
    instances: given.instances ?? 'single',
    bytesMax,
    reserveBytes,
    onFull: given.onFull ?? 'block',
    blockMsMax: given.blockMsMax ?? 100,
    keepMinutes: given.keepMinutes ?? 60,
    unsyncedBytesMax: given.unsyncedBytesMax ?? 64 * 2 ** 20,
  }
}

function checkNames(destinations: readonly DestinationOptions[]): void {
  const seen = new Set<string>()
  destinations.forEach((one, index) => {
    const own = one.name ?? one.type
    if (seen.has(own))
      throw invalid(`destinations[${index}].name`, own, 'a name of its own: two destinations share this one')
    seen.add(own)
  })
}

/** One process writes a file: with slots, each writes its own. */
function checkPaths(destinations: readonly DestinationOptions[]): void {
  const index = destinations.findIndex(isSharedFile)
  const shared = destinations[index]
  if (shared?.type !== 'file') return
  const rule = `a path with ${slotMark} in it, which becomes the number of the slot: one process writes a file`
  throw invalid(`destinations[${index}].path`, shared.path, rule)
}

function optionError(options: unknown, issue: z.core.$ZodIssue | undefined): AuditError {
  if (issue === undefined) return invalid('options', options, 'an object')
  const path = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0] ?? ''] : issue.path
  let value: unknown = options
  for (const key of path) value = (value as Record<PropertyKey, unknown> | undefined)?.[key]
  return invalid(settingName(path), value, allowed(issue))
}

function allowed(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') return 'absent: there is no such option'
  if (issue.code === 'invalid_value') return issue.values.map((value) => JSON.stringify(value)).join(', ')
  return issue.message.replace(/^Invalid input: /, '')
}

function settingName(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    return typeof key === 'number' ? `${text}[${key}]` : text === '' ? String(key) : `${text}.${String(key)}`
  }, '')
}

const secret = /url|headers|key|secret|token|password/i

function invalid(setting: string, value: unknown, rule: string): AuditError {
  const shown = secret.test(setting) ? '(not shown)' : (JSON.stringify(value)?.slice(0, 200) ?? String(value))
  return new AuditError('INVALID_OPTION', `${setting || 'options'} is ${shown}; allowed: ${rule}`, {
    setting: setting || 'options',
    hint: `Set ${setting || 'the options'} as docs/configuration.md describes, or leave it out for its default.`,
  })
}

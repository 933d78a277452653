/**
 * The configuration of an open trail: every setting with its value, as the stages use it. Made of options that are already
 * checked; where they come from is the matter of `read-config.ts`.
 */

import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { DestinationOptions } from '../destination/destination.ts'
import type { Catalogue } from '../event/catalogue.ts'
import type { OnInvalid } from '../event/catalogue-check.ts'
import type { SignerOptions } from '../forward/signing-thread.ts'
import type { Level } from '../policy/level.ts'
import type { RedactionOptions } from '../policy/redaction/options.ts'
import type { PolicyRule } from '../policy/rules.ts'
import type { AnchorPlaces } from '../witness/anchoring-thread.ts'
import type { WitnessOptions } from '../witness/client.ts'
import type { Layer } from './layers.ts'
import type { MetricsRegistry } from './metric.ts'
import type { AuditOptions, Profile } from './options.ts'
import type { ParsedOptions } from './schema.ts'
import { settings, valueAt } from './settings.ts'

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

/** `policy` with every default in place, and its secret read. */
export interface PolicyConfig {
  readonly enabled: boolean
  readonly level: Level
  /** Somebody chose the level. */
  readonly levelGiven: boolean
  readonly excludeActions: readonly string[]
  readonly excludeResources: readonly string[]
  readonly sampleRate: number
  readonly sampleReads: number
  readonly sampleSecret: string | undefined
  readonly rules: readonly PolicyRule[]
  readonly allowSuppressAll: boolean
}

/** The options with every default in place. */
export interface AuditConfig {
  readonly service: string
  readonly deployment: string
  readonly profiles: readonly Profile[]
  readonly resource: Readonly<Record<string, string | number | boolean>>
  readonly catalogue: Catalogue | undefined
  readonly onInvalid: OnInvalid
  readonly spool: SpoolConfig
  readonly policy: PolicyConfig
  readonly redact: RedactionOptions
  /** The key itself, where it was given instead of its file. */
  readonly signingKey: string | undefined
  readonly signingKeyFile: string
  readonly rotationsFile: string | undefined
  /** Who signs in the place of a key. */
  readonly signer: SignerOptions | undefined
  /** Not given: it lies in the spool directory. */
  readonly isKeyDefault: boolean
  readonly destinations: readonly DestinationOptions[]
  /** `emitRequired` waits for the disk, not for the database. */
  readonly isAsync: boolean
  /** What `emitRequired` waits for unless it is told: `durable`, or the name of a destination. */
  readonly requiredUntil: string
  /** The database whose outbox is sealed from here. */
  readonly outboxUrl: string | undefined
  /** How many standbys must hold a record of the journal before it is signed and exported. */
  readonly outboxStandbys: number | undefined
  readonly retention: {
    readonly enabled: boolean
    readonly days: number
    readonly batchRows: number
    readonly intervalMinutes: number
    readonly archive?: string | undefined
  }
  /** A sidecar delivers. */
  readonly isExternal: boolean
  /** How often the spool is verified from here; 0: never. */
  readonly verifyIntervalMinutes: number
  readonly witnesses: readonly WitnessOptions[]
  /** Where checkpoints go, and how often; 0: never. */
  readonly anchors: AnchorPlaces & { readonly intervalMinutes: number }
  readonly closeTimeoutMs: number
  readonly handleSignals: boolean
  readonly workerUrl: string | URL | undefined
  readonly metrics: {
    readonly registry: MetricsRegistry | undefined
    readonly actions: readonly string[]
    readonly listen: string | undefined
    readonly token: string | undefined
  }
  /** What is to be said once at start. */
  readonly remarks: readonly string[]
  /** The file whose change is a reload. */
  readonly watchedFile: string | undefined
  /** What holds of every setting, by path; secrets among it. */
  readonly values: ReadonlyMap<string, unknown>
  /** Where a reload reads from. */
  readonly sources: ConfigSources
}

/** Where configuration comes from. */
export interface ConfigSources {
  readonly options: AuditOptions
  /** Absent: code alone counts. */
  readonly environment?: NodeJS.ProcessEnv | undefined
  /** In the place of `AUDIT_CONFIG_FILE`. */
  readonly file?: string | undefined
}

/** Parsed options and what belongs to them. */
export interface ConfigParts {
  readonly parsed: ParsedOptions
  /** What was set, and where. */
  readonly given: Layer
  readonly sources: ConfigSources
  /** Secrets that were read from their files, by path. */
  readonly secrets: ReadonlyMap<string, string>
  readonly remarks: readonly string[]
  readonly watchedFile: string | undefined
}

/** Fills in the defaults that depend on other settings, and brings everything into the form that is used. */
export function configOf({ parsed, given, sources, secrets, remarks, watchedFile }: ConfigParts): AuditConfig {
  const service = parsed.service ?? process.env.OTEL_SERVICE_NAME ?? 'unknown_service'
  const deployment = parsed.deployment ?? service
  const { bytesMax, directory } = parsed.spool
  const reserveBytes = parsed.spool.reserveBytes ?? Math.min(16 * 2 ** 20, Math.floor(bytesMax / 8))
  const signingKeyFile = parsed.keys.signingKeyFile ?? join(directory, 'audit.key')
  const derived = new Map<string, unknown>([
    ['service', service],
    ['deployment', deployment],
    ['spool.reserveBytes', reserveBytes],
    ['keys.signingKeyFile', signingKeyFile],
    ...secrets,
  ])
  const { sampleSecretFile, ...policy } = parsed.policy
  const { pseudonymKeyFile, ...redact } = parsed.redact
  return {
    service,
    deployment,
    profiles: [parsed.profile].flat(),
    resource: parsed.resource,
    catalogue: parsed.actions,
    onInvalid: parsed.onInvalid,
    spool: { ...parsed.spool, reserveBytes },
    policy: {
      ...policy,
      levelGiven: given.has('policy.level'),
      sampleSecret: secrets.get('policy.sampleSecret') ?? policy.sampleSecret,
    },
    redact: { ...redact, pseudonymKey: secrets.get('redact.pseudonymKey') ?? redact.pseudonymKey },
    signingKey: parsed.keys.signingKey,
    signingKeyFile,
    rotationsFile: parsed.keys.rotationsFile,
    signer: parsed.keys.signer,
    isKeyDefault: isKeyDefault(parsed.keys),
    destinations: parsed.destinations,
    isAsync: parsed.async,
    requiredUntil: parsed.async ? 'durable' : databaseOf(parsed.destinations),
    outboxUrl: parsed.outbox.url,
    outboxStandbys: parsed.outbox.standbys,
    retention: parsed.retention,
    isExternal: parsed.delivery === 'external',
    verifyIntervalMinutes: parsed.verify.intervalMinutes,
    witnesses: parsed.witnesses,
    anchors: parsed.anchors,
    closeTimeoutMs: parsed.closeTimeoutMs,
    handleSignals: parsed.handleSignals,
    workerUrl: parsed.workerUrl,
    metrics: {
      registry: parsed.metrics.registry,
      actions: labelsOf(parsed),
      listen: parsed.metrics.listen,
      token: secrets.get('metrics.token') ?? parsed.metrics.token,
    },
    remarks,
    watchedFile,
    values: new Map(settings.map(({ path }) => [path, derived.get(path) ?? valueAt(parsed, path)])),
    sources,
  }
}

function isKeyDefault({ signingKeyFile, signingKey, signer }: ParsedOptions['keys']): boolean {
  return [signingKeyFile, signingKey, signer].every((given) => given === undefined)
}

/** The actions that are a label by their name: few, because somebody wrote each of them down. */
function labelsOf({ metrics, actions }: ParsedOptions): readonly string[] {
  return [...new Set([...metrics.actions, ...Object.keys(actions?.actions ?? {})])]
}

/** The name of the first database; that there is one is checked elsewhere. */
function databaseOf(destinations: readonly DestinationOptions[]): string {
  const database = destinations.find(({ type }) => type === 'postgres')
  return database?.name ?? 'postgres'
}

/** The settings that differ between two configurations, by path: those that a reload applies and those that it cannot. */
export function compareConfigs(
  before: AuditConfig,
  after: AuditConfig,
): { readonly applied: readonly string[]; readonly restartRequired: readonly string[] } {
  const differing = settings.filter(({ path }) => !isDeepStrictEqual(before.values.get(path), after.values.get(path)))
  const pathsOf = (isReloaded: boolean) =>
    differing.filter(({ note }) => (note.isReloaded === true) === isReloaded).map(({ path }) => path)
  return { applied: pathsOf(true), restartRequired: pathsOf(false) }
}

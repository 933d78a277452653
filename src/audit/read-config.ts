/**
 * From every source to one configuration: code before environment before configuration file before profile before
 * default. Whatever is wrong stops a start with the setting, the value, what is allowed and what to do; secrets never
 * stand in an error. Knows the order of the steps; each step has a file of its own.
 */

import { type AuditConfig, type ConfigSources, configOf } from './config.ts'
import { readLayers } from './config-sources.ts'
import { contradictionsOf } from './consistency.ts'
import { type Layer, mergeLayers, nameIn, optionsOf, secretPairs } from './layers.ts'
import { readSecretFile } from './local-files.ts'
import type { AuditOptions } from './options.ts'
import { errorOf, type Problem } from './problem.ts'
import { presetsOf, refusalsOf } from './profiles.ts'
import { optionsSchema, type ParsedOptions } from './schema.ts'
import { settings, valueAt } from './settings.ts'
import { canonicalName } from './variables.ts'

/** What reading gave. */
export interface ConfigReading {
  readonly problems: readonly Problem[]
  /** What somebody has set, and where. */
  readonly given: Layer
  /** There unless a source could not be read; to be used only when there are no problems. */
  readonly config: AuditConfig | undefined
}

/** Checks the options of code and fills in the defaults. Throws `INVALID_OPTION` for the first wrong one. */
export function readOptions(options: AuditOptions): AuditConfig {
  return requireConfig(readConfig({ options }))
}

/** The same of code, environment and configuration file. */
export function readOptionsAndEnvironment(options: AuditOptions, environment: NodeJS.ProcessEnv): AuditConfig {
  return requireConfig(readConfig({ options, environment }))
}

/** The same sources once more, for a reload. Throws as they did at start. */
export function readAgain({ sources }: AuditConfig): AuditConfig {
  return requireConfig(readConfig(sources))
}

/** Reads every source and collects what is wrong. */
export function readConfig(sources: ConfigSources): ConfigReading {
  const { layers, problems, remarks, watchedFile } = readLayers(sources)
  const own = mergeLayers(layers)
  if (problems.length > 0) return { problems, given: own, config: undefined }
  const profiles = [optionsSchema.shape.profile.parse(own.get('profile')?.value)].flat()
  const given = mergeLayers([own, presetsOf(profiles)])
  const nameOf = nameIn(given)
  const parsed = optionsSchema.parse(optionsOf(given))
  const secrets = readSecrets(parsed, nameOf)
  const config = configOf({ parsed, given, sources, secrets: secrets.values, remarks, watchedFile })
  const wrong = [...secrets.problems, ...contradictionsOf(config, nameOf), ...refusalsOf(config, nameOf)]
  return { problems: sources.environment === undefined ? wrong : wrong.map(nameVariable), given, config }
}

/** Whoever configures by environment has not read the name of an option that nobody has set. */
function nameVariable(problem: Problem): Problem {
  const setting = settings.find(({ path }) => path === problem.setting)
  if (setting === undefined) return problem
  const name = setting.path === 'destinations' ? 'AUDIT_LOG_DESTINATION' : canonicalName(setting.path)
  return { ...problem, hint: `${problem.hint} In the environment: ${name}.` }
}

function requireConfig({ config, problems }: ConfigReading): AuditConfig {
  const [first, ...others] = problems
  if (first !== undefined)
    throw errorOf(
      others.length === 0
        ? first
        : {
            ...first,
            hint: `${first.hint} ${others.length} more: ${others.map(({ setting }) => setting).join(', ')}.`,
          },
    )
  if (config === undefined) throw new Error('a configuration without problems is whole')
  return config
}

interface Secrets {
  readonly values: ReadonlyMap<string, string>
  readonly problems: readonly Problem[]
}

/** Secrets that are in files of their own. */
function readSecrets(parsed: ParsedOptions, nameOf: (path: string) => string): Secrets {
  const values = new Map<string, string>()
  const problems: Problem[] = []
  for (const { secret, file } of secretPairs) {
    const path = valueAt(parsed, file)
    // The signing key has stricter doors of its own, and is made when it is missing.
    if (typeof path !== 'string' || file === 'keys.signingKeyFile') continue
    const read = readSecretFile(path, nameOf(file))
    if ('problem' in read) problems.push(read.problem)
    else values.set(secret, read.value)
  }
  return { values, problems }
}

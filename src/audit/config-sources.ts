/**
 * The sources as layers, in the order in which they count: options of code, environment, configuration file, and last the
 * destination that the environment has where nobody names one. Each is checked by itself, also where another hides it.
 */

import type { DestinationOptions } from '../destination/destination.ts'
import type { ConfigSources } from './config.ts'
import { type EnvironmentReading, readEnvironment } from './environment.ts'
import { destinationsOf, fillBuffers, remarkUnused } from './environment-destinations.ts'
import { type Layer, layerOf, mergeLayers, secretsSetTwice } from './layers.ts'
import { readConfigFile } from './local-files.ts'
import type { Problem } from './problem.ts'

export interface Layers {
  /** The first counts most. */
  readonly layers: readonly Layer[]
  readonly problems: readonly Problem[]
  /** What to say once at start. */
  readonly remarks: readonly string[]
  /** The configuration file, when its changes are to be watched. */
  readonly watchedFile: string | undefined
}

export function readLayers({ options, environment, file: chosenFile }: ConfigSources): Layers {
  const code = layerOf(options, { kind: 'option' }, (path) => path)
  const read = readEnvironment(environment ?? {})
  const variables: Layer = new Map(
    [...read.options].map(([path, { name, value }]) => [path, { value, source: { kind: 'environment', name } }]),
  )
  const file = chosenFile ?? textOf(read, 'AUDIT_CONFIG_FILE')
  const stored = readFile(file, chosenFile === undefined ? 'AUDIT_CONFIG_FILE' : '--config')
  const watches = read.own.get('AUDIT_CONFIG_WATCH')?.value === true
  const base = [code.layer, variables, stored.layer]
  const named = environment === undefined ? nothingNamed : nameDestinations(read, base)
  return {
    layers: [...named.before, ...base, ...named.behind],
    problems: [
      ...code.problems,
      ...read.problems,
      ...stored.problems,
      ...named.problems,
      ...base.flatMap(secretsSetTwice),
      ...(watches && file === undefined ? [watchesNothing] : []),
    ],
    remarks: [...read.remarks, ...named.remarks],
    watchedFile: watches ? file : undefined,
  }
}

function readFile(file: string | undefined, setting: string): { layer: Layer; problems: readonly Problem[] } {
  if (file === undefined) return { layer: new Map(), problems: [] }
  const read = readConfigFile(file, setting)
  if ('problem' in read) return { layer: new Map(), problems: [read.problem] }
  return layerOf(read.value, { kind: 'file', file }, (path) => `${path} (in ${file})`)
}

/** What the variables of destinations add: layers, and what is wrong with them. */
interface Named {
  readonly before: readonly Layer[]
  readonly behind: readonly Layer[]
  readonly problems: readonly Problem[]
  readonly remarks: readonly string[]
}

const nothingNamed: Named = { before: [], behind: [], problems: [], remarks: [] }

/**
 * Destinations are named in code, by AUDIT_LOG_DESTINATION or AUDIT_DESTINATIONS, in the file, or not at all, in this
 * order. Those of code and file keep their source and only take from the buffer variables what they leave open.
 */
function nameDestinations(read: EnvironmentReading, [code, variables, stored]: readonly Layer[]): Named {
  const isNamed = read.own.has('AUDIT_LOG_DESTINATION')
  if (isNamed && variables?.has('destinations') === true) return { ...nothingNamed, problems: [namedTwice] }
  const elsewhere = isNamed ? code : mergeLayers([code, variables, stored].filter((one) => one !== undefined))
  const chosen = elsewhere?.get('destinations')
  if (chosen !== undefined) {
    const destinations = chosen.value as readonly DestinationOptions[]
    const filled = { ...chosen, value: fillBuffers(destinations, read.own) }
    const remarks = [
      ...(isNamed ? ['AUDIT_LOG_DESTINATION is set, but code names the destinations: it has no effect'] : []),
      ...remarkUnused(read.own, new Set(destinations.map(({ type }) => type))),
    ]
    return { ...nothingNamed, before: [new Map([['destinations', filled]])], remarks }
  }
  const { destinations, problems, remarks } = destinationsOf(read.own)
  const source = isNamed
    ? ({ kind: 'environment', name: 'AUDIT_LOG_DESTINATION' } as const)
    : ({ kind: 'default' } as const)
  const layer: Layer = new Map([['destinations', { value: destinations, source }]])
  return { before: isNamed ? [layer] : [], behind: isNamed ? [] : [layer], problems, remarks }
}

function textOf(read: EnvironmentReading, name: string): string | undefined {
  const value = read.own.get(name)?.value
  return typeof value === 'string' ? value : undefined
}

const namedTwice: Problem = {
  setting: 'AUDIT_LOG_DESTINATION',
  message: 'AUDIT_LOG_DESTINATION and AUDIT_DESTINATIONS both say where records go; allowed: one of them',
  hint: 'AUDIT_DESTINATIONS can say everything, AUDIT_LOG_DESTINATION is the short way.',
}

const watchesNothing: Problem = {
  setting: 'AUDIT_CONFIG_WATCH',
  message: 'AUDIT_CONFIG_WATCH is true, but there is no file to watch',
  hint: 'Set AUDIT_CONFIG_FILE, or leave AUDIT_CONFIG_WATCH out.',
}

/**
 * Several sources, one set of values: code before environment before file before profile before default, setting by
 * setting; a list counts as one value. Each value remembers where it came from. A secret and the file that holds it count
 * as one setting: whichever stands higher hides the other.
 */

import { bothSet } from './environment.ts'
import type { AuditOptions } from './options.ts'
import { type Problem, problemsOf } from './problem.ts'
import { optionsSchema } from './schema.ts'
import { nest, type Setting, settings, valueAt } from './settings.ts'

/** Where a value came from. */
export type Source =
  | { readonly kind: 'option' }
  | { readonly kind: 'environment'; readonly name: string }
  | { readonly kind: 'file'; readonly file: string }
  | { readonly kind: 'profile'; readonly profile: string }
  | { readonly kind: 'default' }

export interface Given {
  readonly value: unknown
  readonly source: Source
}

/** One source: values by path. */
export type Layer = ReadonlyMap<string, Given>

/** The layer of an object of options, and what is wrong with it. `nameOf` turns a path into its writer's word. */
export function layerOf(
  options: unknown,
  source: Source,
  nameOf: (path: string) => string,
): { readonly layer: Layer; readonly problems: readonly Problem[] } {
  const parsed = optionsSchema.safeParse(options)
  if (!parsed.success) return { layer: new Map(), problems: problemsOf(parsed.error.issues, options, nameOf) }
  const given = settings.map(({ path }) => [path, { value: valueAt(options, path), source }] as const)
  return { layer: new Map(given.filter(([, { value }]) => value !== undefined)), problems: [] }
}

/** Secrets that one source gives as a value and as a file. */
export function secretsSetTwice(layer: Layer): Problem[] {
  const nameOf = nameIn(layer)
  const both = secretPairs.filter(({ secret, file }) => layer.has(secret) && layer.has(file))
  return both.map(({ secret, file }) => bothSet(nameOf(secret), nameOf(file)))
}

/** What holds of several layers, the first before the others. */
export function mergeLayers(layers: readonly Layer[]): Layer {
  const merged = new Map<string, Given>()
  for (const layer of layers) {
    const hidden = secretPairs.filter(({ secret, file }) => merged.has(secret) || merged.has(file))
    const isHidden = (path: string) => hidden.some(({ secret, file }) => path === secret || path === file)
    for (const [path, given] of layer) if (!merged.has(path) && !isHidden(path)) merged.set(path, given)
  }
  return merged
}

/** The options of a layer, as one would write them in code. */
export function optionsOf(layer: Layer): AuditOptions {
  return nest([...layer].map(([path, { value }]) => [path, value]))
}

/** A setting as whoever set it knows it. */
export function nameIn(layer: Layer): (path: string) => string {
  return (path) => {
    const setting = settings.find(
      (one) => path === one.path || path.startsWith(`${one.path}[`) || path.startsWith(`${one.path}.`),
    )
    const source = layer.get(setting?.path ?? '')?.source
    return setting === undefined || source === undefined ? path : nameOf(path, setting, source)
  }
}

function nameOf(path: string, setting: Setting, source: Source): string {
  if (source.kind === 'file') return `${path} (in ${source.file})`
  if (source.kind !== 'environment') return path
  return path === setting.path ? source.name : `${source.name}${path.slice(setting.path.length)}`
}

/** A secret, and the setting that names its file. */
export const secretPairs: readonly { readonly secret: string; readonly file: string }[] = settings
  .filter(({ path }) => settings.some((one) => one.path === `${path}File`))
  .map(({ path }) => ({ secret: path, file: `${path}File` }))

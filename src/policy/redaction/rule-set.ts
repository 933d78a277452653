/**
 * The options of redaction made into rules: which keys, content rules, pointers and patterns are in force and what each
 * does. Everything that is wrong with the options is found here, and thrown as `INVALID_OPTION` naming the setting.
 */

import { AuditError } from '../../errors.ts'
import { keysByPreset, normalizeKey } from './keys.ts'
import { contentRules } from './match.ts'
import { type RedactionMode, type RedactionOptions, redactionModes, redactionPresets } from './options.ts'
import { findFault } from './pattern.ts'
import { type PointerRule, parsePointer } from './pointers.ts'
import { type RulesInForce, rulesByPreset } from './presets.ts'
import { createPseudonyms, type Pseudonyms } from './pseudonym.ts'
import type { PatternRule } from './text.ts'

export interface RuleSet {
  /** In normal form. */
  readonly keys: ReadonlySet<string>
  readonly content: RulesInForce
  readonly patterns: readonly PatternRule[]
  readonly pointers: readonly PointerRule[]
  /** By the rule's name in receipts; `mask` where there is none. */
  readonly modes: ReadonlyMap<string, RedactionMode>
  readonly pseudonyms: Pseudonyms | undefined
  /** Each rule in one line, sorted: part of what the policy's hash stands for. */
  readonly descriptions: readonly string[]
}

export function compileRules(options: RedactionOptions): RuleSet {
  const { preset = 'default', rules = [], pointers = [] } = options
  if (!redactionPresets.includes(preset)) {
    throw invalid('redact.preset', `is ${JSON.stringify(preset)}`, `presets are ${redactionPresets.join(', ')}`)
  }
  const keys = new Set([...keysByPreset[preset], ...readKeys(options.keys ?? [])])
  const content = rulesByPreset[preset]
  const patterns = readPatterns(rules)
  const modes = readModes(options, { keys, patterns })
  const places = pointers.map((pointer, index) => parsePointer(pointer, `redact.pointers[${index}]`))
  const hasMode = [...modes.values(), ...places.map(({ mode }) => mode)].includes('pseudonym')
  const isPersonal = (options.personal ?? []).length > 0
  const needed = isPersonal ? 'redact.personal' : hasMode ? 'the mode pseudonym' : undefined
  const withoutDescriptions = { keys, content, patterns, pointers: places, modes }
  return {
    ...withoutDescriptions,
    pseudonyms: readPseudonyms(options.pseudonymKey, needed),
    descriptions: describeRules(withoutDescriptions),
  }
}

function readKeys(keys: readonly string[]): string[] {
  return keys.map((key, index) => {
    const name = normalizeKey(key)
    if (name !== '') return name
    throw invalid(`redact.keys[${index}]`, `is ${JSON.stringify(key)}: no name`, 'name a key, such as shoe_size')
  })
}

function readPatterns(rules: NonNullable<RedactionOptions['rules']>): PatternRule[] {
  const ids = new Set<string>(contentRules)
  return rules.map(({ id, pattern, ignoreCase = false }, index) => {
    const setting = `redact.rules[${index}]`
    if (!/^\w[\w.:-]{0,63}$/.test(id)) {
      throw invalid(
        `${setting}.id`,
        `is ${JSON.stringify(id)}`,
        'letters, digits and . _ : - (at most 64), beginning with a letter or digit',
      )
    }
    if (ids.has(id))
      throw invalid(`${setting}.id`, `is ${JSON.stringify(id)}, which is another rule's`, 'choose another id')
    ids.add(id)
    const fault = findFault(pattern, ignoreCase)
    if (fault !== undefined) {
      const what = fault.part === pattern ? '' : ` at ${fault.part}`
      throw invalid(`${setting}.pattern`, `of ${id} is ${pattern}: refused${what}: ${fault.reason}`, fault.remedy)
    }
    return { name: `rule:${id}`, pattern: new RegExp(pattern, ignoreCase ? 'giu' : 'gu') }
  })
}

/** Modes by the names of receipts; a bare name stands for the key, the content rule and the rule that have it. */
function readModes(
  { modes = {}, rules = [] }: RedactionOptions,
  { keys, patterns }: Pick<RuleSet, 'keys' | 'patterns'>,
): Map<string, RedactionMode> {
  const names = [...contentRules, ...patterns.map(({ name }) => name), ...[...keys].map((key) => `key:${key}`)]
  const read = new Map<string, RedactionMode>()
  for (const [index, { id, mode = 'mask' }] of rules.entries()) {
    checkMode(`redact.rules[${index}].mode`, mode)
    read.set(`rule:${id}`, mode)
  }
  for (const [given, mode] of Object.entries(modes)) {
    const setting = `redact.modes.${given}`
    checkMode(setting, mode)
    const meant = names.filter((name) => [given, `rule:${given}`, `key:${normalizeKey(given)}`].includes(name))
    if (meant.length === 0) {
      const hint = `name a key of redact.keys, the id of a rule, or one of ${contentRules.join(', ')}`
      throw invalid(setting, 'names no key and no rule', hint)
    }
    for (const name of meant) read.set(name, mode)
  }
  return read
}

function checkMode(setting: string, mode: RedactionMode): void {
  if (redactionModes.includes(mode)) return
  throw invalid(setting, `is ${JSON.stringify(mode)}`, `modes are ${redactionModes.join(', ')}`)
}

function readPseudonyms(key: string | undefined, needed: string | undefined): Pseudonyms | undefined {
  if (key !== undefined) return createPseudonyms(key)
  if (needed === undefined) return undefined
  const hint = 'set redact.pseudonymKey or redact.pseudonymKeyFile; make a key with: openssl rand -base64 32'
  throw invalid('redact.pseudonymKey', `is missing, and ${needed} needs it`, hint)
}

function describeRules({
  keys,
  content,
  patterns,
  pointers,
  modes,
}: Omit<RuleSet, 'pseudonyms' | 'descriptions'>): string[] {
  const withMode = (name: string): string => {
    const mode = modes.get(name) ?? 'mask'
    return mode === 'mask' ? name : `${name}=${mode}`
  }
  return [
    ...[...keys].map((key) => withMode(`key:${key}`)),
    ...[...content.text].map((rule) => `content:${withMode(rule)}`),
    ...[...content.identity].map((rule) => `identity:${rule}`),
    ...patterns.map(({ name, pattern }) => `${withMode(name)} ${String(pattern)}`),
    ...pointers.map(({ name, mode }) => `${name}=${mode}`),
  ].sort()
}

function invalid(setting: string, what: string, hint: string): AuditError {
  return new AuditError('INVALID_OPTION', `${setting} ${what}`, { setting, hint })
}

/**
 * A zone is a part of the event with its own content rules: free text has all that are in force, what names the parties
 * has few or none. Key names are hidden in every zone. Keys are looked at once and remembered, as programs use the same
 * few again and again; only keys made of data would fill the memory.
 */

import { secretNameOf } from './keys.ts'
import type { ContentRule } from './match.ts'
import type { RedactionMode } from './options.ts'
import type { RuleSet } from './rule-set.ts'
import { compileScan } from './scan.ts'
import { compileText, type RedactedText, type TextRedactor } from './text.ts'

/** What a key means for what stands under it. */
export interface KeyFacts {
  /** `key:NAME`; undefined for a key that is no secret's. */
  readonly rule: string | undefined
  readonly mode: RedactionMode
  /** The key itself, when it holds something to hide. */
  readonly redacted: RedactedText | undefined
}

export interface Zone {
  readonly factsOf: (key: string) => KeyFacts
  /** Undefined where no content rule is in force. */
  readonly redactText: TextRedactor | undefined
  /** Whether whole numbers are looked at as well: a card's number may be one. */
  readonly searchesNumbers: boolean
}

export interface Zones {
  readonly text: Zone
  readonly identity: Zone
  /** As `text`, with a memory: all events share the resource's texts. */
  readonly resource: Zone
}

export function compileZones(rules: RuleSet): Zones {
  const text = compileZone(rules, rules.content.text, rules)
  const identity = compileZone(rules, rules.content.identity, { ...rules, patterns: [] })
  const redactText = text.redactText === undefined ? undefined : remember(text.redactText)
  return { text, identity, resource: { ...text, redactText } }
}

function compileZone(
  rules: RuleSet,
  content: ReadonlySet<ContentRule>,
  texts: Pick<RuleSet, 'patterns' | 'modes' | 'pseudonyms'>,
): Zone {
  const isActive = content.size > 0 || texts.patterns.length > 0
  const redactText = isActive ? compileText({ ...texts, scan: compileScan(content) }) : undefined
  // A key that is taken out or shortened could not be told from others: keys are masked or get a pseudonym.
  const keyModes = new Map([...texts.modes].filter(([, mode]) => mode === 'pseudonym'))
  const redactKey = isActive ? compileText({ ...texts, modes: keyModes, scan: compileScan(content) }) : undefined
  const factsOf = (key: string): KeyFacts => {
    const name = secretNameOf(key, rules.keys)
    const rule = name === undefined ? undefined : `key:${name}`
    return { rule, mode: rules.modes.get(rule ?? '') ?? 'mask', redacted: redactKey?.(key) }
  }
  return { factsOf: remember(factsOf), redactText, searchesNumbers: content.has('card') }
}

const rememberedMax = 4_096
const rememberedLengthMax = 64

/** Remembers what was found for short texts. */
function remember<T>(find: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>()
  return (text) => {
    if (text.length > rememberedLengthMax) return find(text)
    if (known.has(text)) return known.get(text) as T
    const found = find(text)
    if (known.size === rememberedMax) known.clear()
    known.set(text, found)
    return found
  }
}

/**
 * Redaction of one text. Markers that stand in it already (`[REDACTED]`, our own pseudonyms) are no text: nothing is
 * searched within them or across them. It goes on until a pass finds nothing, which makes it idempotent by construction;
 * what still matches after a few passes, as only a text made for it does, is masked whole. Every pass is linear.
 */

import { hideText, redactedText } from './modes.ts'
import type { RedactionMode } from './options.ts'
import { type Pseudonyms, pseudonymPattern } from './pseudonym.ts'
import type { Scan } from './scan.ts'

/** A rule of the user's, ready to run. */
export interface PatternRule {
  /** `rule:ID` */
  readonly name: string
  /** Global. */
  readonly pattern: RegExp
}

/** Places found in a text, by the rule's name in receipts. */
interface Place {
  readonly rule: string
  readonly start: number
  readonly end: number
}

export interface TextRules {
  readonly scan: Scan
  readonly patterns: readonly PatternRule[]
  /** By the rule's name in receipts. */
  readonly modes: ReadonlyMap<string, RedactionMode>
  readonly pseudonyms: Pseudonyms | undefined
}

/** The redacted text, and how many places each rule has hidden; `undefined` for a text without any. */
export interface RedactedText {
  readonly text: string
  readonly counts: ReadonlyMap<string, number>
}

export type TextRedactor = (text: string) => RedactedText | undefined

const passesMax = 3

export function compileText(rules: TextRules): TextRedactor {
  const findIn = rules.patterns.length === 0 ? rules.scan : (text: string) => findAll(text, rules)
  return (text) => (findIn(text).length === 0 ? undefined : redactAll(text, rules))
}

function redactAll(given: string, rules: TextRules): RedactedText | undefined {
  const counts = new Map<string, number>()
  let text = given
  for (let pass = 0; pass <= passesMax; pass++) {
    const places = findPlaces(text, rules)
    const redacted = replacePlaces(text, places, { ...rules, counts })
    if (redacted === text) return counts.size === 0 ? undefined : { text, counts }
    text = redacted
  }
  return { text: redactedText, counts }
}

/** What is to be hidden, in order and apart, outside of all markers. */
function findPlaces(text: string, rules: TextRules): Place[] {
  const places: Place[] = []
  let from = 0
  for (const marker of markersIn(text, rules.pseudonyms)) {
    addPlaces(places, text.slice(from, marker.start), { from, rules })
    from = marker.end
  }
  addPlaces(places, text.slice(from), { from, rules })
  return places
}

function addPlaces(
  places: Place[],
  text: string,
  { from, rules }: { readonly from: number; readonly rules: TextRules },
): void {
  for (const { rule, start, end } of findAll(text, rules)) places.push({ rule, start: start + from, end: end + from })
}

/** In order; of two that overlap the earlier one counts, and the next pass sees what is left of the other. */
function findAll(text: string, { scan, patterns }: TextRules): readonly Place[] {
  const places: readonly Place[] = scan(text)
  if (patterns.length === 0) return places
  const all = [...places, ...patterns.flatMap((rule) => matchesOf(text, rule))].sort((a, b) => a.start - b.start)
  let end = 0
  return all.filter((place) => {
    const isApart = place.start >= end
    if (isApart) end = place.end
    return isApart
  })
}

function matchesOf(text: string, { name, pattern }: PatternRule): Place[] {
  return Array.from(text.matchAll(pattern), ({ 0: match, index }) => ({
    rule: name,
    start: index,
    end: index + match.length,
  }))
}

function replacePlaces(text: string, places: readonly Place[], { modes, pseudonyms, counts }: Replacement): string {
  let replaced = ''
  let from = 0
  for (const { rule, start, end } of places) {
    const mode = modes.get(rule) ?? 'mask'
    const part = text.slice(start, end)
    const standIn = hideText(part, mode, pseudonyms)
    if (mode === 'truncate' && isTruncatedAt(text, part, { start, standIn })) continue
    const before = text.slice(from, start)
    // One marker stands for neighbours too, so that hiding letter by letter does not make a text tenfold.
    const isNeighbour = before === '' && mode === 'mask' && replaced.endsWith(redactedText)
    replaced += isNeighbour ? '' : before + standIn
    from = end
    counts.set(rule, (counts.get(rule) ?? 0) + 1)
  }
  return replaced + text.slice(from)
}

interface Replacement {
  readonly modes: ReadonlyMap<string, RedactionMode>
  readonly pseudonyms: Pseudonyms | undefined
  readonly counts: Map<string, number>
}

function isTruncatedAt(
  text: string,
  part: string,
  { start, standIn }: { readonly start: number; readonly standIn: string },
): boolean {
  return text.startsWith(standIn, start) || (part.length <= 4 && text.startsWith(redactedText, start + part.length))
}

const anyMarker = new RegExp(`\\[REDACTED\\]|${pseudonymPattern}`, 'g')

function markersIn(
  text: string,
  pseudonyms: Pseudonyms | undefined,
): { readonly start: number; readonly end: number }[] {
  return Array.from(text.matchAll(anyMarker))
    .filter(([marker]) => marker === redactedText || pseudonyms?.isOwn(marker) === true)
    .map(({ 0: marker, index }) => ({ start: index, end: index + marker.length }))
}

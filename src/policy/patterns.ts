/**
 * Patterns for the free texts of an event: a text as it is, or a beginning followed by `*`. Upper and lower case
 * differ. `*` alone stands for any text, but something must be there: what an event does not say matches nothing.
 */

import { identifierBytesMax } from '../limits.ts'

/** Which texts a list of patterns stands for; compiled once. */
export interface Patterns {
  readonly exact: ReadonlySet<string>
  /** The beginnings, without their `*`. */
  readonly beginnings: readonly string[]
}

/** What is wrong with a pattern, as what is allowed; `undefined` when it is one. */
export function patternFault(pattern: string): string | undefined {
  if (pattern === '') return 'a text that is not empty'
  if (pattern.trim() !== pattern) return 'a text without white space around it'
  if (!pattern.isWellFormed()) return 'a text without lone surrogates'
  if (pattern.slice(0, -1).includes('*')) return 'a text with * at its end only: there is no other wildcard'
  return Buffer.byteLength(pattern) > identifierBytesMax
    ? `a text of at most ${identifierBytesMax} bytes, as no event has a longer one`
    : undefined
}

export function compilePatterns(patterns: readonly string[]): Patterns {
  return {
    exact: new Set(patterns.filter((pattern) => !isOpen(pattern))),
    beginnings: patterns.filter(isOpen).map(beginningOf),
  }
}

/** Whether the text matches one of the patterns; an absent text matches none. */
export function matchesAny({ exact, beginnings }: Patterns, text: string | undefined): boolean {
  if (text === undefined) return false
  if (exact.has(text)) return true
  for (const beginning of beginnings) if (text.startsWith(beginning)) return true
  return false
}

/** Whether every text that matches `narrow` also matches `wide`. */
export function covers(wide: string, narrow: string): boolean {
  return wide === narrow || (isOpen(wide) && narrow.startsWith(beginningOf(wide)))
}

/** Whether the pattern ends in `*`. */
export function isOpen(pattern: string): boolean {
  return pattern.endsWith('*')
}

export function beginningOf(pattern: string): string {
  return pattern.slice(0, -1)
}

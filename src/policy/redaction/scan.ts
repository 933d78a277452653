/**
 * One pass over a text for all content rules. Most characters are only classified; at the few where a match must have
 * one (`@`, `:`, `=`, a blank behind `r` or `c` …) the searches look around, and a run of token characters is looked at
 * when it is long enough. Linear: every search walks a bounded length, or what it then takes, or ends at the next place
 * of its kind. Clean text costs about a nanosecond a character and allocates nothing.
 */

import { findIpv4, findIpv6 } from './addresses.ts'
import { alphanumeric, classOf, digit, hex, isAt, joiner, quote, runEnd, runStart, tokenSign } from './chars.ts'
import { findCredential, findDsnCredentials, findUrlCredentials, lastLetters } from './credentials.ts'
import { findPid, findPosixPath, findWindowsPath } from './host.ts'
import type { ContentRule, Match, Search } from './match.ts'
import { findCard, findEmail } from './personal.ts'
import { findBasic, findBearer, findJwt, findKey, findPem, tokenLengthMin } from './tokens.ts'

/** Every match of some rules in a text, in order and apart from each other; `none` for clean text. */
export type Scan = (text: string) => readonly Match[]

export const none: readonly Match[] = []

/** The shortest number of a card; no token is shorter either. */
const cardLengthMin = 13
const runLengthMin = Math.min(cardLengthMin, tokenLengthMin)
const lineFeed = 10

// What a character means for the scan: bits of the table below.
const breaks = 1
const anchors = 2
/** A run without any of these is a number, a hexadecimal digest or a UUID, and no token. */
const tells = 4
const counts = 8

/** A search, the characters it asks at, and those that stand around them wherever it can find something. */
interface SearchRow {
  readonly rule: ContentRule
  readonly at: string
  readonly search: Search
  /** Of one of these classes, or one of these characters. Default: anything. */
  readonly behind?: Neighbours | undefined
  readonly ahead?: Neighbours | undefined
}

type Neighbours = { readonly kinds?: number; readonly characters?: string }

const aDigit: Neighbours = { kinds: digit }

const searchRows: readonly SearchRow[] = [
  { rule: 'pem', at: '-', ahead: { characters: '-' }, search: findPem },
  {
    rule: 'url_credentials',
    at: ':',
    behind: { kinds: alphanumeric },
    ahead: { characters: '/' },
    search: findUrlCredentials,
  },
  { rule: 'credential', at: ':=', behind: { kinds: quote, characters: `${lastLetters} ` }, search: findCredential },
  { rule: 'pid', at: ':=', behind: { kinds: quote, characters: 'dD ' }, search: findPid },
  { rule: 'ipv6', at: ':', behind: { kinds: hex }, ahead: { kinds: hex }, search: findIpv6 },
  { rule: 'ipv6', at: ':', ahead: { characters: ':' }, search: findIpv6 },
  { rule: 'ipv4', at: '.', behind: aDigit, ahead: aDigit, search: findIpv4 },
  { rule: 'url_credentials', at: '@', ahead: { characters: 'tu' }, search: findDsnCredentials },
  { rule: 'email', at: '@', search: findEmail },
  { rule: 'bearer', at: ' \t\n', behind: { characters: 'rR' }, search: findBearer },
  { rule: 'basic', at: ' \t\n', behind: { characters: 'cC' }, search: findBasic },
  { rule: 'card', at: ' -', behind: aDigit, ahead: aDigit, search: findCardBetween },
  { rule: 'path', at: '/', search: findPosixPath },
  { rule: 'path', at: '\\', search: findWindowsPath },
]

/** The scan for these rules. */
export function compileScan(rules: ReadonlySet<ContentRule>): Scan {
  if (rules.size === 0) return () => none
  const searches = compileSearches(rules)
  const meanings = compileMeanings(searches)
  const searchRun = compileRunSearch(rules)
  return (text) => {
    const { length } = text
    let found: Match[] | undefined
    let from = 0
    let runFrom = 0
    let seen = 0
    for (let at = 0; at <= length; at++) {
      const code = at < length ? text.charCodeAt(at) : lineFeed
      const meaning = code < 128 ? (meanings[code] as number) : breaks
      seen |= meaning
      if ((meaning & (breaks | anchors)) === 0) continue
      if ((meaning & breaks) !== 0) {
        if (at - runFrom >= runLengthMin && (seen & (tells | counts)) !== 0) {
          const inRun = searchRun(text, { start: runFrom, end: at }, seen)
          if (inRun.length > 0) found = found === undefined ? [...inRun] : [...found, ...inRun]
          from = inRun.at(-1)?.end ?? from
        }
        runFrom = at + 1
        seen = 0
      }
      if ((meaning & anchors) === 0 || at < from) continue
      const match = searchAround(searches[code] as GatedSearch[], text, { at, from })
      if (match === undefined) continue
      found ??= []
      found.push(match)
      from = match.end
      at = Math.max(at, from - 1)
      runFrom = at + 1
      seen = 0
    }
    return found ?? none
  }
}

/** A search with what may stand on either side, by character; 0 stands for what is not ASCII, or not there. */
interface GatedSearch {
  readonly behind: Uint8Array
  readonly ahead: Uint8Array
  readonly search: Search
}

function searchAround(
  searches: readonly GatedSearch[],
  text: string,
  { at, from }: { readonly at: number; readonly from: number },
): Match | undefined {
  const behind = at === 0 ? 0 : text.charCodeAt(at - 1)
  const ahead = at + 1 < text.length ? text.charCodeAt(at + 1) : 0
  for (let index = 0; index < searches.length; index++) {
    const gated = searches[index] as GatedSearch
    if (gated.behind[behind < 128 ? behind : 0] === 0 || gated.ahead[ahead < 128 ? ahead : 0] === 0) continue
    const match = gated.search(text, at, from)
    if (match !== undefined) return match
  }
  return undefined
}

/** For each character the searches of the rules in force. */
function compileSearches(rules: ReadonlySet<ContentRule>): (GatedSearch[] | undefined)[] {
  const searches: (GatedSearch[] | undefined)[] = Array.from({ length: 128 })
  for (const { at, rule, search, behind, ahead } of searchRows) {
    if (!rules.has(rule)) continue
    const gated = { behind: compileGate(behind), ahead: compileGate(ahead), search }
    for (const character of at) {
      const code = character.charCodeAt(0)
      searches[code] = [...(searches[code] ?? []), gated]
    }
  }
  return searches
}

function compileGate(neighbours: Neighbours | undefined): Uint8Array {
  const { kinds = 0, characters = '' } = neighbours ?? {}
  const lets = (code: number): boolean =>
    neighbours === undefined || (classOf(code) & kinds) !== 0 || characters.includes(String.fromCharCode(code))
  return Uint8Array.from({ length: 128 }, (_, code) => (lets(code) ? 1 : 0))
}

function compileMeanings(searches: readonly (GatedSearch[] | undefined)[]): Uint8Array {
  return Uint8Array.from({ length: 128 }, (_, code) => {
    const character = String.fromCharCode(code)
    const inRun = (classOf(code) & (alphanumeric | joiner)) !== 0 || character === '.' || character === '~'
    const isDigit = (classOf(code) & digit) !== 0
    const isTelling = inRun && !/[\da-f.~-]/.test(character)
    return (
      (inRun ? 0 : breaks) |
      (searches[code] === undefined ? 0 : anchors) |
      (isTelling ? tells : 0) |
      (isDigit ? counts : 0)
    )
  })
}

/** Looks for what stands within a run. */
type RunSearch = (text: string, run: { readonly start: number; readonly end: number }, seen: number) => readonly Match[]

/** A search in runs, and what a run must hold for it. */
interface RunRule {
  readonly rule: ContentRule
  readonly needs: number
  /** The first match in the run that begins at `from` or later. */
  readonly search: (run: string, from: number) => Match | undefined
}

const runRules: readonly RunRule[] = [
  { rule: 'jwt', needs: tells, search: findJwt },
  { rule: 'cloud_key', needs: tells, search: findKey },
  { rule: 'card', needs: counts, search: findCardInRun },
]

function compileRunSearch(rules: ReadonlySet<ContentRule>): RunSearch {
  const inForce = runRules.filter(({ rule }) => rules.has(rule))
  return (text, { start, end }, seen) => {
    if ((seen & tells) === 0 && findLongNumber(text, start, end) === undefined) return none // a UUID, a digest, a date
    const run = text.slice(start, end)
    let found: Match[] | undefined
    // Each search keeps its next match until it is reached, so that the run is walked once for each.
    const next = inForce.map(({ needs, search }) => ((seen & needs) === 0 ? undefined : search(run, 0)))
    for (let first = earliest(next); first !== undefined; first = earliest(next)) {
      found ??= []
      found.push({
        rule: first.rule,
        start: start + first.start,
        end: keyEnd(text, start + first.start, start + first.end),
      })
      for (const [index, match] of next.entries()) {
        if (match !== undefined && match.start < first.end) next[index] = inForce[index]?.search(run, first.end)
      }
    }
    return found ?? none
  }
}

/** Webhook secrets are base64, whose `+/=` end a run. */
function keyEnd(text: string, start: number, end: number): number {
  return text.startsWith('whsec_', start) ? runEnd(text, end, { kinds: alphanumeric | tokenSign }) : end
}

function earliest(matches: readonly (Match | undefined)[]): Match | undefined {
  let first: Match | undefined
  for (const match of matches) {
    if (match !== undefined && (first === undefined || match.start < first.start)) first = match
  }
  return first
}

/** A card written in groups: at the blank or dash behind the first of them. */
function findCardBetween(text: string, at: number, from: number): Match | undefined {
  if (!isAt(text, at + 2, digit) || !isAt(text, at + 3, digit)) return undefined // a date
  const start = runStart(text, at, { kinds: digit, from: Math.max(from, at - 5) })
  return at - start === 4 ? findCard(text, start) : undefined
}

function findCardInRun(run: string, from: number): Match | undefined {
  for (let at = from; ; ) {
    const number = findLongNumber(run, at, run.length)
    if (number === undefined) return undefined
    const match = findCard(run, number.start)
    if (match !== undefined) return match
    at = number.end
  }
}

/** Looks at every thirteenth character only: a digit among so many digits cannot be stepped over. */
function findLongNumber(
  text: string,
  from: number,
  to: number,
): { readonly start: number; readonly end: number } | undefined {
  for (let at = from + cardLengthMin - 1; at < to; at += cardLengthMin) {
    if (!isAt(text, at, digit)) continue
    const start = runStart(text, at, { kinds: digit, from })
    const end = runEnd(text, at, { kinds: digit, to })
    if (end - start >= cardLengthMin) return { start, end }
    at = end
  }
  return undefined
}

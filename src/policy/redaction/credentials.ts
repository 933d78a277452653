/**
 * Credentials by what stands before them: user and password in a URL (RFC 3986 `userinfo`) or in the data source
 * names of Go drivers, and values behind a secret's name, as in connection strings, query strings, headers and JSON.
 */

import { alphanumeric, digit, isAt, joiner, quote, runEnd, runEndBefore, runStart, space, stop } from './chars.ts'
import type { Match } from './match.ts'

/** What stands between `://` at `at` and the `@` before the host. A user without password is a name, and stays. */
export function findUrlCredentials(text: string, at: number): Match | undefined {
  if (text[at + 1] !== '/' || text[at + 2] !== '/' || !isAt(text, at - 1, alphanumeric)) return undefined
  const start = at + 3
  const authorityEnd = endOfAuthority(text, start)
  const authority = text.slice(start, authorityEnd)
  const colon = authority.indexOf(':')
  const isPort = colon >= 0 && runEnd(authority, colon + 1, { kinds: digit }) === authority.length
  const end = authority.includes('@') || colon < 0 || isPort ? authorityEnd : endOfPassword(text, authorityEnd)
  const last = text.slice(start, end).lastIndexOf('@')
  if (last <= 0 || colon < 0 || colon > last) return undefined
  return { rule: 'url_credentials', start, end: start + last }
}

/** `user:password` before `@tcp(`, `@udp(` or `@unix(`, as Go drivers write it. */
export function findDsnCredentials(text: string, at: number, from: number): Match | undefined {
  if (!/^@(?:tcp|udp|unix)\(/.test(text.slice(at, at + 6))) return undefined
  let start = at
  while (start > Math.max(from, at - 256) && text[start - 1] !== '(' && !isAt(text, start - 1, space | quote)) start--
  const colon = text.slice(start, at).indexOf(':')
  return colon < 0 ? undefined : { rule: 'url_credentials', start, end: at }
}

/** The ends of the names behind which `=` or `:` a secret stands. */
export const secretNames =
  /(?:pass(?:word|wd|phrase|code)|pwd|secret|token|(?:api|access|secret|private|account|signing|encryption|master|shared)[-_ ]?key|credentials?|authorization|cookie|signature|(?<![a-z])sig|(?<![a-z])sid|session[-_]?id)$/i

/** The last two letters of each, in lower case: a look at them spares most of what is no secret's name. */
const lastPairs = new Set(
  ['rd', 'wd', 'se', 'de', 'et', 'en', 'ey', 'al', 'ls', 'on', 'ie', 're', 'ig', 'id'].map((pair) => pairAt(pair, 0)),
)
const nameLengthMax = 40

/** The last letters of those names, in either case. */
export const lastLetters = 'dDeEtTnNyYlLsSgG'

/** The value behind a secret's name and the `=` or `:` at `at`. */
export function findCredential(text: string, at: number, from: number): Match | undefined {
  const nameEnd = endOfName(text, at)
  if (nameEnd < 3 || !lastPairs.has(pairAt(text, nameEnd - 2))) return undefined
  const nameStart = runStart(text, nameEnd, {
    kinds: alphanumeric | joiner,
    from: Math.max(from, nameEnd - nameLengthMax),
  })
  const name = secretNames.exec(text.slice(Math.max(from, nameStart - 8), nameEnd))?.[0].toLowerCase()
  if (name === undefined) return undefined
  const start = startOfValue(text, at)
  const end = isAt(text, start - 1, quote) ? quotedEnd(text, start) : headerEnd(text, start, name)
  return end > start && !isLiteral(text.slice(start, Math.min(end, start + 10)))
    ? { rule: 'credential', start, end }
    : undefined
}

function endOfAuthority(text: string, start: number): number {
  let end = start
  while (end < text.length && !'/?#\\'.includes(text[end] ?? '/') && !isAt(text, end, space | quote | stop)) end++
  return end
}

/** A password may hold an unescaped `/`, `?` or `#`; it does not reach into the next URL. */
function endOfPassword(text: string, from: number): number {
  let end = from
  while (end < text.length && !isAt(text, end, space | quote) && !text.startsWith('://', end)) end++
  return end
}

/** Before `=` or `:` there may be a blank, a quote, or both, the quote with a backslash. */
function endOfName(text: string, at: number): number {
  let end = at
  if (text[end - 1] === ' ') end--
  if (isAt(text, end - 1, quote)) end--
  if (text[end - 1] === '\\') end--
  return end
}

function startOfValue(text: string, at: number): number {
  let start = at + 1
  if (text[start] === ' ' && (text[at] === ':' || text[at - 1] === ' ')) start++
  if (text[start] === '\\' && isAt(text, start + 1, quote)) start++
  return isAt(text, start, quote) ? start + 1 : start
}

/** The closing quote, less a backslash before it; without one, the end of the line. */
function quotedEnd(text: string, start: number): number {
  const closing = text[start - 1]
  let end = start
  while (end < text.length && text[end] !== closing && text[end] !== '\n')
    end += text[end] === '\\' && text[end + 1] !== closing ? 2 : 1
  end = Math.min(end, text.length)
  return text[end - 1] === '\\' ? end - 1 : end
}

/** Headers have values of several words: a scheme and its credentials, or cookie after cookie. */
function headerEnd(text: string, start: number, name: string): number {
  if (
    name === 'cookie' ||
    (name === 'authorization' && /^[A-Za-z][\w-]{2,31}[ \t]{1,4}\S/.test(text.slice(start, start + 40)))
  ) {
    let end = start
    while (end < text.length && text[end] !== '\n' && text[end] !== '\r' && !isAt(text, end, quote)) end++
    return end
  }
  let end = runEndBefore(text, start, { kinds: space | quote | stop })
  while (end > start && '.,:)]}'.includes(text[end - 1] ?? '')) end--
  return end
}

/** Two ASCII letters as one number, whatever their case. */
function pairAt(text: string, at: number): number {
  return ((text.charCodeAt(at) | 32) << 8) | (text.charCodeAt(at + 1) | 32)
}

function isLiteral(value: string): boolean {
  return /^(?:null|true|false|undefined)$/.test(value)
}

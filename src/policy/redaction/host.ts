/**
 * What tells about the machine in texts: absolute paths, POSIX, Windows and UNC, below their top directory, and
 * process ids. The path within a URL is none, that of a `file:` URL is. A path in quotes goes on to the closing
 * quote; elsewhere it ends at white space, but for the folders of a Windows path.
 */

import {
  alphanumeric,
  classOf,
  digit,
  isAt,
  joiner,
  letter,
  quote,
  runEnd,
  runEndBefore,
  space,
  stop,
} from './chars.ts'
import type { Match } from './match.ts'

const ends = space | quote | stop
const joins = alphanumeric | joiner

/** The path that begins with the `/` at `at`. */
export function findPosixPath(text: string, at: number, from: number): Match | undefined {
  const first = firstSlash(text, at)
  if (first === undefined) return undefined
  const topEnd = runTo(text, runSlashes(text, first))
  if (topEnd === undefined) return undefined
  const start = runSlashes(text, topEnd)
  const end = pathEnd(text, { start, before: first - 1 })
  return start >= from && end > start ? { rule: 'path', start, end } : undefined
}

/** The path at the first `\` of `C:\…` or `\\server\…`. */
export function findWindowsPath(text: string, at: number, from: number): Match | undefined {
  const isDrive = text[at - 1] === ':' && isAt(text, at - 2, letter) && !isAt(text, at - 3, joins)
  const isUnc = text[at + 1] === '\\' && text[at - 1] !== '\\' && text[at - 1] !== ':' && !isAt(text, at - 1, joins)
  if (!isDrive && !isUnc) return undefined
  const rootEnd = runSlashes(text, at)
  const topEnd = windowsPartEnd(text, rootEnd)
  if (topEnd === rootEnd || !isSlash(text, topEnd) || ' ,;)]'.includes(text[rootEnd] ?? ' ')) return undefined
  const start = runSlashes(text, topEnd)
  let end = start
  for (let partEnd = windowsPartEnd(text, end); partEnd > end; partEnd = windowsPartEnd(text, end)) {
    end = isSlash(text, partEnd) ? runSlashes(text, partEnd) : partEnd
    if (end === partEnd) break
  }
  end = isQuotedAt(text, isDrive ? at - 3 : at - 1) ? pathEnd(text, { start, before: isDrive ? at - 3 : at - 1 }) : end
  return start >= from && end > start ? { rule: 'path', start, end } : undefined
}

/** The number behind `pid` and the `=` or `:` at `at`. */
export function findPid(text: string, at: number, from: number): Match | undefined {
  const nameEnd = isAt(text, at - 1, quote) ? at - 1 : isAt(text, at - 1, space) ? at - 1 : at
  const name = text.slice(Math.max(from, nameEnd - 3), nameEnd)
  if (name.toLowerCase() !== 'pid') return undefined
  const before = text.charCodeAt(nameEnd - 4)
  const isPart = (classOf(before) & alphanumeric) !== 0 && !(name[0] === 'P' && (before | 32) === before)
  if (isPart && (before | 32) !== 112) return undefined // `ppid` is one too, `rapid` is not
  let start = runEnd(text, at + 1, { kinds: space, to: at + 4 })
  if (isAt(text, start, quote)) start += 1
  const end = runEnd(text, start, { kinds: digit, to: start + 20 })
  return end > start ? { rule: 'pid', start, end } : undefined
}

/** The slash where a path begins; in the middle of a word, a URL or a relative path none does. */
function firstSlash(text: string, at: number): number | undefined {
  const before = text.charCodeAt(at - 1)
  if (text[at - 1] === '/' || text[at - 1] === '\\') return undefined
  if ((classOf(before) & joins) !== 0 || '.~%$)]}*'.includes(text[at - 1] ?? ' ')) return undefined
  const isUrl = text[at - 1] === ':' && text[at + 1] === '/' && isAt(text, at - 2, alphanumeric)
  if (!isUrl) return at
  if (text[at + 2] === '/') return at + 2
  if (text.slice(Math.max(0, at - 5), at - 1).toLowerCase() !== 'file') return undefined
  const hostLength = text.slice(at + 2, at + 258).indexOf('/')
  return hostLength < 0 ? undefined : at + 2 + hostLength
}

function isSlash(text: string, at: number): boolean {
  return text[at] === '/' || text[at] === '\\'
}

function runSlashes(text: string, from: number): number {
  let at = from
  while (isSlash(text, at)) at++
  return at
}

/** Where a name ends that a slash follows. */
function runTo(text: string, from: number): number | undefined {
  let at = from
  while (at < text.length && text[at] !== '/' && !isAt(text, at, ends)) at++
  return at > from && text[at] === '/' ? at : undefined
}

/** The end of a path, less the punctuation of the sentence and the line number behind it. */
function pathEnd(text: string, { start, before }: { readonly start: number; readonly before: number }): number {
  if (isQuotedAt(text, before)) {
    const close = text.indexOf(text[before] ?? '', start)
    if (close >= 0 && !text.slice(start, close).includes('\n')) return close
  }
  let end = runEndBefore(text, start, { kinds: ends })
  while (end > start && '.,:!?)]}'.includes(text[end - 1] ?? '')) end--
  return linePlaceStart(text, start, end)
}

/** `:10:5` behind a source file tells where in it, and stays. */
function linePlaceStart(text: string, start: number, end: number): number {
  let at = end
  for (let numbers = 0; numbers < 2; numbers++) {
    let number = at
    while (number > start && number > at - 8 && isAt(text, number - 1, digit)) number--
    if (number === at || text[number - 1] !== ':' || number - 1 <= start) break
    at = number - 1
  }
  return at
}

function isQuotedAt(text: string, at: number): boolean {
  return isAt(text, at, quote)
}

/** Folders of Windows may hold spaces; the last part of a path ends at one. */
function windowsPartEnd(text: string, from: number): number {
  let at = from
  let firstSpace = -1
  const to = Math.min(text.length, from + 255)
  while (at < to && !isSlash(text, at) && text[at] !== ':' && text[at] !== '\n' && !isAt(text, at, quote | stop)) {
    if (firstSpace < 0 && isAt(text, at, space)) firstSpace = at
    at++
  }
  return isSlash(text, at) || firstSpace < 0 ? at : firstSpace
}

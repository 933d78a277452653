/**
 * E-mail addresses and card numbers in texts. A card number is told from other long numbers by its beginning, its
 * length and its check digit (ISO/IEC 7812, Luhn); one in ten of the numbers that look like one is hidden without need.
 */

import { alphanumeric, classOf, digit, hex, isAt, joiner, letter, mailSign, runEnd, runStart } from './chars.ts'
import type { Match } from './match.ts'

const localLengthMax = 64
const domainLengthMax = 255

/** The address around an `@`: a name, and a domain of at least two labels, or an address in brackets. */
export function findEmail(text: string, at: number, from: number): Match | undefined {
  const start = text[at - 1] === '"' ? quotedStart(text, at, from) : localStart(text, at, from)
  if (start === at) return undefined
  const end = domainEnd(text, at + 1)
  return end === undefined ? undefined : { rule: 'email', start, end }
}

function localStart(text: string, at: number, from: number): number {
  let start = at
  const first = Math.max(from, at - localLengthMax)
  while (start > first && (isAt(text, start - 1, alphanumeric | mailSign) || isOtherLetter(text, start - 1))) start--
  while (start < at && isAt(text, start, mailSign) && !isAt(text, start, alphanumeric)) start++
  return start
}

function quotedStart(text: string, at: number, from: number): number {
  const first = Math.max(from, at - localLengthMax)
  const open = text.slice(first, at - 1).lastIndexOf('"')
  return open < 0 ? at : first + open
}

function domainEnd(text: string, from: number): number | undefined {
  if (text[from] === '[') {
    const close = text.slice(from, from + 64).indexOf(']')
    return close > 1 ? from + close + 1 : undefined
  }
  const to = Math.min(text.length, from + domainLengthMax)
  let end = from
  while (end < to && (isAt(text, end, alphanumeric | joiner) || text[end] === '.' || isOtherLetter(text, end))) end++
  while (end > from && (text[end - 1] === '.' || text[end - 1] === '-')) end--
  const top = from + text.slice(from, end).lastIndexOf('.')
  const hasTwoLabels = top > from && end - top > 2 && !isAt(text, top + 1, digit)
  return hasTwoLabels ? end : undefined
}

/** A letter or digit beyond ASCII, which names and domains may hold (RFC 6531). */
function isOtherLetter(text: string, at: number): boolean {
  return text.charCodeAt(at) > 127 && /^[\p{L}\p{M}\p{N}\p{Cs}]$/u.test(text[at] ?? '')
}

/** Where card numbers of the known schemes begin, and how long they are. */
const schemes: readonly { readonly begins: RegExp; readonly lengths: readonly number[] }[] = [
  { begins: /^4/, lengths: [13, 16, 19] },
  { begins: /^(?:5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/, lengths: [16] },
  { begins: /^3[47]/, lengths: [15] },
  { begins: /^(?:30[0-5]|3095|36|3[89])/, lengths: [14, 16, 19] },
  { begins: /^(?:50|5[6-8]|6|8[12]|35(?:2[89]|[3-8])|220[0-5])/, lengths: [16, 17, 18, 19] },
]

/** The number whose first group of digits begins at `at`: all digits, or groups of three to six behind one of four. */
export function findCard(text: string, at: number): Match | undefined {
  if (isAt(text, at - 1, digit) || (text[at - 1] === '.' && isAt(text, at - 2, digit))) return undefined
  const end = runEnd(text, at, { kinds: digit, to: at + 20 })
  const digits = text.slice(at, end)
  if (isCard(digits) && isApart(text, at, end)) return { rule: 'card', start: at, end }
  return digits.length === 4 ? findGroupedCard(text, at, digits) : undefined
}

function findGroupedCard(text: string, start: number, first: string): Match | undefined {
  let [end, digits] = [start + 4, first]
  const separator = text[end]
  let longest: Match | undefined
  while (text[end] === separator && (separator === ' ' || separator === '-')) {
    const groupEnd = runEnd(text, end + 1, { kinds: digit, to: end + 8 })
    const length = groupEnd - end - 1
    if (length < 3 || length > 6 || digits.length + length > 19) break
    digits += text.slice(end + 1, groupEnd)
    end = groupEnd
    if (isCard(digits) && isApart(text, start, end)) longest = { rule: 'card', start, end }
  }
  return longest
}

/** Whether these digits are the number of a card. */
export function isCard(digits: string): boolean {
  if (digits.length < 13 || digits.length > 19) return false
  return schemes.some(({ begins, lengths }) => lengths.includes(digits.length) && begins.test(digits)) && luhn(digits)
}

function luhn(digits: string): boolean {
  let sum = 0
  for (let index = 0; index < digits.length; index++) {
    const value = digits.charCodeAt(digits.length - 1 - index) - 48
    sum += index % 2 === 0 ? value : value < 5 ? 2 * value : 2 * value - 9
  }
  return sum % 10 === 0 && !/^(\d)\1*$/.test(digits)
}

/** No digits go on behind it, and it is not the digits within a hexadecimal digest or identifier. */
function isApart(text: string, start: number, end: number): boolean {
  if (isAt(text, end, digit) || (text[end] === '.' && isAt(text, end + 1, digit))) return false
  const from = runStart(text, start, { kinds: hex | joiner, from: Math.max(0, start - 64) })
  const to = runEnd(text, end, { kinds: hex | joiner, to: end + 64 })
  if (to - from < 24) return true
  for (let at = from; at < to; at++) if (classOf(text.charCodeAt(at)) & letter) return false
  return true
}

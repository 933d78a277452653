/**
 * What each mode makes of a value. What comes out is known again: a value that has been hidden is not hidden twice.
 * Always holds: of a value that is not an address, truncation leaves at most four characters, and at most a quarter.
 */

import { canonicalize, type JsonValue } from '../../event/canonical.ts'
import { networkOf, parseAddress } from './addresses.ts'
import type { RedactionMode } from './options.ts'
import type { Pseudonyms } from './pseudonym.ts'

/** What stands for every redacted value. */
export const redactedText = '[REDACTED]'

const prefixLengthMax = 4

/** A whole value hidden; `undefined` when it is to be taken out; the value itself when it is hidden already. */
export function hideValue(
  value: JsonValue,
  mode: RedactionMode,
  pseudonyms: Pseudonyms | undefined,
): JsonValue | undefined {
  if (value === redactedText) return value
  switch (mode) {
    case 'mask':
      return redactedText
    case 'remove':
      return undefined
    case 'truncate':
      return typeof value === 'string' || typeof value === 'number' ? truncateValue(value) : redactedText
    case 'pseudonym':
      return typeof value === 'string' && pseudonyms?.isOwn(value) ? value : hideText(textOf(value), mode, pseudonyms)
  }
}

/** A part of a text hidden, in the place of that part. */
export function hideText(part: string, mode: RedactionMode, pseudonyms: Pseudonyms | undefined): string {
  switch (mode) {
    case 'mask':
      return redactedText
    case 'remove':
      return ''
    case 'truncate':
      return truncateText(part)
    case 'pseudonym':
      return pseudonyms?.pseudonymOf(part) ?? redactedText
  }
}

/** The network of an address, in its brackets; of anything else a few first characters. */
function truncateText(part: string): string {
  const address = parseAddress(part)
  if (address !== undefined) return part.startsWith('[') ? `[${networkOf(address)}]` : networkOf(address)
  const characters = Array.from(part.slice(0, 2 * prefixLengthMax))
  return characters.slice(0, Math.min(prefixLengthMax, Math.floor(part.length / 4))).join('') + redactedText
}

function truncateValue(value: string | number): string {
  const text = String(value)
  return isTruncated(text) ? text : truncateText(text)
}

/** Whether truncation has made this text: it could only make less of it. */
export function isTruncated(text: string): boolean {
  if (text.endsWith(redactedText)) return text.length <= prefixLengthMax * 2 + redactedText.length
  const inner = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text
  const address = parseAddress(inner.slice(0, Math.max(0, inner.lastIndexOf('/'))))
  return address !== undefined && networkOf(address) === inner
}

function textOf(value: JsonValue): string {
  return typeof value === 'string' ? value : canonicalize(value)
}

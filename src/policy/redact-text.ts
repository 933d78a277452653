/**
 * Redaction of one text, for programs that have texts of their own to hide something of: a log line, the message of an
 * exception, an address. The same rules as in events; idempotent.
 */

import { contentRules } from './redaction/match.ts'
import { redactedText } from './redaction/modes.ts'
import type { RedactionOptions } from './redaction/options.ts'
import { compileRules } from './redaction/rule-set.ts'
import { compileScan } from './redaction/scan.ts'
import { compileText, type TextRedactor } from './redaction/text.ts'

/** A redacted text, and how many places each rule has hidden in it. Rules that hid nothing are absent. */
export interface TextRedaction {
  readonly text: string
  readonly counts: Readonly<Record<string, number>>
}

/**
 * Hides in a text what content rules find. Without options every rule is in force, as a text that is redacted by hand is
 * about to be shown to somebody; with options, those of their preset. Throws `INVALID_OPTION` for wrong options.
 */
export function redactText(text: string, options?: RedactionOptions): TextRedaction {
  const given = typeof text === 'string' ? text : String(text)
  const found = redactorFor(options)(given)
  return found === undefined
    ? { text: given, counts: {} }
    : { text: found.text, counts: Object.fromEntries(found.counts) }
}

/**
 * Hides the host of an address such as `10.0.0.7:52311`, `[2001:db8::1]:443` or `db.internal:5432`; the port stays.
 * An IPv6 address without brackets has no port. The empty text stays empty.
 */
export function redactRemoteAddr(address: string | undefined): string {
  if (address === undefined || address === '') return ''
  const colon = address.lastIndexOf(':')
  const hasPort = /^:\d{1,5}$/.test(address.slice(colon))
  const isBareIpv6 = address.indexOf(':') !== colon && !address.slice(0, colon).endsWith(']')
  return hasPort && !isBareIpv6 ? redactedText + address.slice(colon) : redactedText
}

const everyRule: TextRedactor = compileText({
  scan: compileScan(new Set(contentRules)),
  patterns: [],
  modes: new Map(),
  pseudonyms: undefined,
})

/** Options are compiled once for as long as the caller keeps them. */
const compiled = new WeakMap<RedactionOptions, TextRedactor>()

function redactorFor(options: RedactionOptions | undefined): TextRedactor {
  if (options === undefined) return everyRule
  const known = compiled.get(options)
  if (known !== undefined) return known
  const rules = compileRules(options)
  const redactor = compileText({ ...rules, scan: compileScan(rules.content.text) })
  compiled.set(options, redactor)
  return redactor
}

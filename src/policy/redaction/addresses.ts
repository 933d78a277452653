/**
 * IPv4 and IPv6 addresses in texts: every form of RFC 4291 section 2.2, embedded IPv4, zones (RFC 4007), brackets
 * (RFC 3986). Ports and prefix lengths are not part of an address and stay. A time, a version of five parts, an
 * object identifier or a MAC address is no address. Each place is looked at over a bounded length.
 */

import { alphanumeric, digit, hex, isAt, joiner, letter, runEnd, runStart, tokenSign } from './chars.ts'
import type { Match } from './match.ts'

/** The address around a `.` between two digits. */
export function findIpv4(text: string, at: number, from: number): Match | undefined {
  const start = runStart(text, at, { kinds: digit, from: Math.max(from, at - 3) })
  const end = ipv4End(text, start)
  if (end === undefined || isVersion(text, start, end)) return undefined
  return { rule: 'ipv4', start, end }
}

/** The address around a `:`. */
export function findIpv6(text: string, at: number, from: number): Match | undefined {
  const start = runStart(text, at, { kinds: hex, from: Math.max(from, at - 4) })
  const end = ipv6End(text, start)
  if (end === undefined || !standsAlone(text, start, end)) return undefined
  const zoned = zoneEnd(text, end)
  const bracketed = start > from && text[start - 1] === '[' && text[zoned] === ']'
  return bracketed ? { rule: 'ipv6', start: start - 1, end: zoned + 1 } : { rule: 'ipv6', start, end: zoned }
}

/** An address, whole and in any form, as its 4 or 16 bytes; brackets and zone do not count. */
export function parseAddress(text: string): Uint8Array | undefined {
  if (text.length > 128) return undefined
  const inner = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text
  if (ipv4End(inner, 0) === inner.length) return Uint8Array.from(inner.split('.'), Number)
  const end = ipv6End(inner, 0)
  return end !== undefined && zoneEnd(inner, end) === inner.length ? ipv6Bytes(inner.slice(0, end)) : undefined
}

/** One form for each address: dotted decimal, or that of RFC 5952. */
export function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, index) =>
    (((bytes[2 * index] ?? 0) << 8) | (bytes[2 * index + 1] ?? 0)).toString(16),
  ).join(':')
  const zeros = groups.match(/(?<![^:])0(?::0){1,7}(?![^:])/g) ?? []
  const longest = zeros.reduce((best, run) => (run.length > best.length ? run : best), '')
  if (longest === '') return groups
  const from = groups.search(new RegExp(`(?<![^:])${longest}(?![^:])`))
  return `${groups.slice(0, from).replace(/:$/, '')}::${groups.slice(from + longest.length).replace(/^:/, '')}`
}

/** The network of an address: its first 24 or 48 bits, with their number. */
export function networkOf(bytes: Uint8Array): string {
  const kept = bytes.length === 4 ? 3 : 6
  return `${formatAddress(bytes.map((byte, index) => (index < kept ? byte : 0)))}/${kept * 8}`
}

/** Four numbers up to 255 that are not part of a longer dotted number. */
function ipv4End(text: string, start: number): number | undefined {
  if (isAt(text, start - 1, digit)) return undefined
  if (text[start - 1] === '.' && isAt(text, start - 2, digit)) return undefined
  let at = start
  for (let octets = 1; ; octets++) {
    const end = runEnd(text, at, { kinds: digit, to: at + 4 })
    if (end === at || end - at > 3 || Number(text.slice(at, end)) > 255) return undefined
    if (octets === 4) return text[end] === '.' && isAt(text, end + 1, digit) ? undefined : end
    if (text[end] !== '.') return undefined
    at = end + 1
  }
}

/** `Chrome/120.0.0.0` is a version. */
function isVersion(text: string, start: number, end: number): boolean {
  return text[start - 1] === '/' && isAt(text, start - 2, letter) && text.slice(start, end).endsWith('.0.0.0')
}

/** Where the longest address that begins here ends: eight groups, or at most seven and one `::`. */
function ipv6End(text: string, start: number): number | undefined {
  let at = start
  let groups = 0
  let hasGap = false
  let end: number | undefined
  while (groups < (hasGap ? 7 : 8)) {
    if (!hasGap && text[at] === ':' && text[at + 1] === ':') {
      hasGap = true
      at += 2
      end = at
    } else if (at !== start && text[at - 1] !== ':') {
      if (text[at] !== ':') break
      at += 1
    }
    const groupEnd = runEnd(text, at, { kinds: hex, to: at + 4 })
    if (groupEnd === at) break
    const hasRoom = hasGap ? groups <= 5 : groups === 6
    const embedded = hasRoom && text[groupEnd] === '.' ? ipv4End(text, at) : undefined
    if (embedded !== undefined) return embedded
    groups += 1
    at = groupEnd
    if (hasGap || groups === 8) end = at
  }
  return end
}

/** Short forms (`::1`, `d::`) must stand alone, as `std::string` has one too; what has three groups is an address. */
function standsAlone(text: string, start: number, end: number): boolean {
  if (text[start - 1] === ':' && text[start] === ':') return false
  if (countGroups(text, start, end) >= 3) return true
  const kinds = alphanumeric | joiner
  return !isAt(text, start - 1, kinds) && !isAt(text, end, kinds) && text[end] !== ':'
}

function countGroups(text: string, start: number, end: number): number {
  let groups = 0
  for (let at = start; at < end; at++) if (text[at] !== ':' && (at === start || text[at - 1] === ':')) groups++
  return groups
}

function zoneEnd(text: string, end: number): number {
  if (text[end] !== '%') return end
  const zone = runEnd(text, end + 1, { kinds: alphanumeric | joiner | tokenSign, to: end + 64 })
  const trimmed = runStart(text, zone, { kinds: tokenSign, from: end + 1 })
  return trimmed === end + 1 ? end : trimmed
}

function ipv6Bytes(text: string): Uint8Array {
  const [head = '', tail] = text.split('::')
  const [before, after] = [groupsOf(head), groupsOf(tail ?? '')]
  const bytes = new Uint8Array(16)
  bytes.set(before)
  bytes.set(after, 16 - after.length)
  return bytes
}

function groupsOf(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number)
    const value = Number.parseInt(group, 16)
    return [value >> 8, value & 0xff]
  })
}

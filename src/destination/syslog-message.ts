/**
 * A record as a syslog message of RFC 5424: the record's bytes are the message, verbatim; what stands before them is
 * made of its members. UTF-8 without the byte order mark, which would not be the record's.
 *   <110>1 2026-11-22T09:00:00.000000Z host billing - invoice.delete
 *     [otelAudit@32473 auditId="…" stream="…" sequence="7" hash="…"] {"action":"invoice.delete",…}
 */

import { leafHash } from '../chain/hash.ts'
import { parseRecord, type StoredRecord } from '../event/record.ts'

/** `log audit`, RFC 5424 table 1. */
export const facilityDefault = 13
/** The number that RFC 5612 keeps for documentation: we have none of our own. */
export const enterpriseIdDefault = 32_473

export interface MessageHead {
  readonly facility: number
  readonly hostname: string
  /** In place of the record's service. */
  readonly appName: string | undefined
  readonly enterpriseId: number
}

const severities = { warning: 4, informational: 6 } as const
const troubles: ReadonlySet<unknown> = new Set(['failure', 'denied'])

/** The whole message, unframed. */
export function encodeMessage(
  record: StoredRecord,
  { facility, hostname, appName, enterpriseId }: MessageHead,
): Buffer {
  const { action, id = '', outcome, service, timestamp } = parseRecord(record.bytes) ?? {}
  const severity = troubles.has(outcome) ? severities.warning : severities.informational
  const head = [
    `<${facility * 8 + severity}>1`,
    timestamp === undefined ? '-' : `${timestamp.slice(0, 26)}Z`, // microseconds are the most that the RFC allows
    printable(hostname, 255),
    printable(appName ?? service ?? 'otel-audit', 48),
    '-',
    printable(action ?? '', 32),
  ]
  const { stream, sequence, bytes } = record
  const members = { auditId: id, stream, sequence: String(sequence), hash: leafHash(bytes) }
  const parameters = Object.entries(members).map(([name, value]) => ` ${name}="${escapeParameter(value)}"`)
  return Buffer.concat([Buffer.from(`${head.join(' ')} [otelAudit@${enterpriseId}${parameters.join('')}] `), bytes])
}

/** Octet counting, RFC 6587 section 3.4.1 and RFC 5425: nothing in a message can be taken for its end. */
export function frameMessage(message: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${message.length} `), message])
}

/** Visible ASCII of a bounded length; what is not becomes `_`, and nothing becomes `-`. */
function printable(text: string, lengthMax: number): string {
  const visible = text.replace(/[^\x21-\x7e]/gu, '_').slice(0, lengthMax)
  return visible === '' ? '-' : visible
}

function escapeParameter(value: string): string {
  return value.replace(/["\\\]]/g, '\\$&')
}

/**
 * The audit context across queues, requests and child processes: as W3C `traceparent` and `baggage`, or in the
 * environment as `TRACEPARENT` and `AUDIT_CORRELATION_ID`. What is read came from outside: what is not well-formed, or
 * too long for an identifier, is as good as absent.
 */

import type { TraceReference } from '../event/event.ts'
import { attributeNames } from '../event/names.ts'
import { identifierBytesMax } from '../limits.ts'
import type { AuditContext } from './context.ts'

/** Headers of a message or a request, or an environment. */
export type Carrier = Readonly<Record<string, string | readonly string[] | undefined>>

/** `environment`: for a child process; `headers`: for messages and requests. */
export type CarrierForm = 'headers' | 'environment'

const ownBaggage = attributeNames.correlationId
const traceparent = /^[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(?:-|$)/

/** The carrier with the context in it; a `baggage` that it has already keeps its other members. */
export function writeContext<Given extends Carrier>(
  carrier: Given,
  { correlation_id, trace }: AuditContext,
  form: CarrierForm,
): Given & Record<string, string> {
  const written: Record<string, string> = {}
  const isHeaders = form === 'headers'
  if (trace !== undefined) written[isHeaders ? 'traceparent' : 'TRACEPARENT'] = formatTrace(trace)
  if (correlation_id === undefined) return { ...carrier, ...written }
  if (isHeaders) {
    const others = membersOf(readEntry(carrier, 'baggage')).filter(([name]) => name !== ownBaggage)
    const members = [...others, [ownBaggage, encodeURIComponent(correlation_id)]]
    written.baggage = members.map((member) => member.join('=')).join(',')
  } else written.AUDIT_CORRELATION_ID = correlation_id
  return { ...carrier, ...written }
}

/** The context in a carrier of either form; without a correlation id of its own, the trace joins its events. */
export function readContext(carrier: Carrier): AuditContext {
  const trace = parseTrace(readEntry(carrier, 'traceparent'))
  const [, encoded] = membersOf(readEntry(carrier, 'baggage')).find(([name]) => name === ownBaggage) ?? []
  const correlation_id = identifier(decode(encoded)) ?? identifier(readEntry(carrier, 'AUDIT_CORRELATION_ID'))
  return {
    ...(trace === undefined ? {} : { trace }),
    ...(correlation_id === undefined && trace === undefined ? {} : { correlation_id: correlation_id ?? trace?.id }),
  }
}

function formatTrace({ id, span, flags }: TraceReference): string {
  return `00-${id}-${span}-${flags.toString(16).padStart(2, '0')}`
}

function parseTrace(text: string | undefined): TraceReference | undefined {
  const [, id, span, flags] = traceparent.exec(text ?? '') ?? []
  return id === undefined || span === undefined ? undefined : { id, span, flags: Number.parseInt(flags ?? '0', 16) }
}

/** Header names are told apart by nobody's case. */
function readEntry(carrier: Carrier, name: string): string | undefined {
  const wanted = name.toLowerCase()
  const [, value] = Object.entries(carrier).find(([key]) => key.toLowerCase() === wanted) ?? []
  return typeof value === 'string' ? value : value?.join(',')
}

/** Members of a `baggage`, without their properties. */
function membersOf(baggage = ''): (readonly [name: string, value: string])[] {
  return baggage.split(',').flatMap((member) => {
    const [pair = ''] = member.split(';')
    const at = pair.indexOf('=')
    return at < 1 ? [] : [[pair.slice(0, at).trim(), pair.slice(at + 1).trim()] as const]
  })
}

function decode(value: string | undefined): string | undefined {
  try {
    return value === undefined ? undefined : decodeURIComponent(value)
  } catch {
    return undefined
  }
}

function identifier(text: string | undefined): string | undefined {
  const isOne =
    text !== undefined && text !== '' && text.isWellFormed() && Buffer.byteLength(text) <= identifierBytesMax
  return isOne ? text : undefined
}

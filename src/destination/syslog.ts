/**
 * Delivery to a syslog server. Syslog has no acknowledgement: `delivered` means that the operating system took the
 * bytes or, with `confirm: 'read'`, that the server closed its side after it had read everything. Always holds: a
 * message is never cut, one that is too long is refused; a message begun on a connection that broke is sent whole on
 * the next; a connection that the server has closed is not written to.
 */

import { hostname } from 'node:os'
import { AuditError, errorText } from '../errors.ts'
import type { StoredRecord } from '../event/record.ts'
import { attempt } from './attempt.ts'
import type { Delivery, Destination } from './destination.ts'
import type { SyslogDestinationOptions } from './options.ts'
import { addressRule, parseAddress, type SyslogLine } from './syslog-address.ts'
import { createDatagramLine } from './syslog-datagram.ts'
import { encodeMessage, enterpriseIdDefault, facilityDefault, type MessageHead } from './syslog-message.ts'
import { createStreamLine } from './syslog-stream.ts'

/** What rsyslog takes unless it is told otherwise; it cuts the rest off without a word. */
export const messageBytesMaxDefault = 8_192
const timeoutMsDefault = 10_000

/** A destination that sends each record as one message. Throws AuditError INVALID_OPTION for an address that is none. */
export function createSyslogDestination(options: SyslogDestinationOptions): Destination {
  const line = createLine(options)
  const head: MessageHead = {
    facility: options.facility ?? facilityDefault,
    hostname: options.hostname ?? hostname(),
    appName: options.appName,
    enterpriseId: options.enterpriseId ?? enterpriseIdDefault,
  }
  const bytesMax = options.messageBytesMax ?? messageBytesMaxDefault
  const timeoutMs = options.timeoutMs ?? timeoutMsDefault
  return {
    name: options.name ?? 'syslog',
    async send({ records }, signal): Promise<Delivery> {
      const messages = records.map((record) => encodeMessage(record, head))
      const refused = refuseLong(records, messages, bytesMax)
      if (refused !== undefined) return refused
      try {
        await attempt({ signal, timeoutMs }, (limited) => line.write(messages, limited))
        return { status: 'delivered' }
      } catch (thrown) {
        return { status: 'retry', reason: signal.aborted ? 'stopped' : `${options.address}: ${errorText(thrown)}` }
      }
    },
    close: () => line.close(),
  }
}

function createLine({ address, confirm, tls = {} }: SyslogDestinationOptions): SyslogLine {
  const parsed = parseAddress(address)
  if (parsed === undefined) {
    throw new AuditError('INVALID_OPTION', `${address} is no address of a syslog server; allowed: ${addressRule}`, {
      setting: 'destinations.syslog.address',
      hint: 'Name the transport, the host and the port: tls://logs.example:6514.',
    })
  }
  if (parsed.transport === 'udp') return createDatagramLine(parsed)
  return createStreamLine(parsed, { tls, awaitsReading: confirm === 'read' })
}

/** Names every message that is too long; the batch comes again without them. */
function refuseLong(
  records: readonly StoredRecord[],
  messages: readonly Buffer[],
  bytesMax: number,
): Delivery | undefined {
  const indexes = messages.flatMap(({ length }, index) => (length > bytesMax ? [index] : []))
  const [first] = indexes
  if (first === undefined) return undefined
  const what = `record ${records[first]?.sequence} takes ${messages[first]?.length} bytes as a syslog message`
  const remedy = 'raise messageBytesMax together with the server (rsyslog: global(maxMessageSize="64k"))'
  return { status: 'rejected', reason: `${what}, more than messageBytesMax ${bytesMax}: ${remedy}`, indexes }
}

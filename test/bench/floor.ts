/**
 * The floor: the least that plain JavaScript must do to have a hashed, framed record of the event with the kernel.
 * No policy, no redaction, no conversion of what an application may hand over, no OpenTelemetry, no receipt.
 */

import { hash } from 'node:crypto'
import { openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { formatTimestamp, nowMs } from '../../src/clock.ts'
import { newRecordId } from '../../src/event/record-id.ts'
import { type Emitter, type EmitterSetup, keepsNothing } from './emitter.ts'
import { createEvent, requestTrace } from './event.ts'

const headerBytes = 56
const stream = '0197f000-0000-7000-8000-000000000000'
const policy = '0'.repeat(64)

type BenchEvent = ReturnType<typeof createEvent>

export function createFloorEmitter({ directory }: EmitterSetup): Emitter<BenchEvent> {
  const file = openSync(join(directory, 'floor'), 'w')
  const buffer = Buffer.alloc(65_536)
  let previous = '0'.repeat(64)
  let previousCrc = 0
  let sequence = 0
  return {
    ...keepsNothing,
    create: createEvent,
    emit(event) {
      sequence += 1
      const text = JSON.stringify(createRecord(event, sequence, previous))
      previous = hash('sha256', `\0${text}`, 'hex')
      const end = headerBytes + buffer.write(text, headerBytes)
      buffer.writeUInt32LE(end - headerBytes, 24)
      buffer.writeUInt32LE(sequence, 16)
      buffer.writeUInt32LE(previousCrc, 32)
      buffer.writeUInt32LE(crc32(buffer.subarray(headerBytes, end)), 44)
      previousCrc = crc32(buffer.subarray(0, 52))
      buffer.writeUInt32LE(previousCrc, 52)
      writeSync(file, buffer, 0, (end + 7) & ~7)
    },
  }
}

const { traceId, spanId, traceFlags } = requestTrace(0)

/** The members in sorted order, as a record of this event has them. */
export function createRecord(event: BenchEvent, seq: number, prev: string) {
  const { actor, target, request, details } = event
  const recorded = formatTimestamp(nowMs())
  return {
    action: event.action,
    actor: { id: actor?.id, type: actor?.type },
    correlation_id: traceId,
    details,
    epoch: 1,
    event_type: 'audit',
    id: newRecordId(),
    level: 'all',
    operation: event.operation,
    outcome: event.outcome,
    policy,
    prev,
    recorded,
    request: {
      method: request?.method,
      route: request?.route,
      source_ip: request?.source_ip,
      user_agent: request?.user_agent,
    },
    schema: '1',
    seq,
    service: 'bench',
    stream,
    target: { id: target?.id, resource_type: target?.resource_type },
    tenant: event.tenant,
    timestamp: recorded,
    trace: { flags: traceFlags, id: traceId, span: spanId },
    v: '1',
  }
}

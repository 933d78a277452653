/**
 * Small sealed trails for tests, made by nothing but the formats (docs/formats.md): canonical records with their
 * links, checkpoints signed by a key of the test. Nothing here comes from the code that seals in production.
 */

import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { checkpointDetails, originOf } from '../../src/chain/checkpoint.ts'
import { Frontier } from '../../src/chain/merkle.ts'
import { formatVerifierKey, parseVerifierKey, type Signer, type Verifier } from '../../src/chain/note.ts'

export interface Keys {
  readonly signer: Signer
  readonly verifier: Verifier
}

/** The same key for the same name and number, so that a trail has the same bytes in every run. */
export function makeKeys(name: string, number = 1): Keys {
  const seed = createHash('sha256').update(`${name} ${number}`).digest()
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const publicKey = createPublicKey(privateKey)
  const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)
  const verifierKey = formatVerifierKey(name, raw)
  const verifier = parseVerifierKey(verifierKey)
  if ('problem' in verifier) throw new Error(verifier.reason)
  const signText = (text: string): Buffer => sign(null, Buffer.from(text), privateKey)
  return { signer: { name, keyId: verifier.keyId, verifierKey, sign: signText }, verifier }
}

export type Members = Record<string, unknown> & { stream: string; seq: number }

/** RFC 8785 for what these tests use: strings, small integers, plain objects, arrays. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([one], [other]) => (one < other ? -1 : 1))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`
}

export function leafOf(text: string): string {
  return createHash('sha256').update('\0').update(text).digest('hex')
}

const epochMs = Date.UTC(2026, 0, 2, 3, 4, 5)
const timestampOf = (seq: number): string => `${new Date(epochMs + seq * 1_000).toISOString().slice(0, 19)}.000000000Z`

/** One stream as its writer seals it. */
export class TrailWriter {
  readonly lines: string[] = []
  readonly stream: string
  readonly #keys: Keys
  readonly #deployment: string
  #frontier = new Frontier()
  #signedSize = 0

  constructor(stream: string, keys: Keys, deployment = keys.signer.name) {
    this.stream = stream
    this.#keys = keys
    this.#deployment = deployment
  }

  get leaf(): string | undefined {
    const last = this.lines.at(-1)
    return last === undefined ? undefined : leafOf(last)
  }

  seal(members: Record<string, unknown>): this {
    const seq = this.lines.length + 1
    const line = canonical({
      action: 'invoice.delete',
      event_type: 'audit',
      id: `019b7c2f-4000-7000-8000-${String(seq).padStart(12, '0')}`,
      level: 'all',
      operation: 'delete',
      outcome: 'success',
      schema: '1',
      service: 'billing',
      timestamp: timestampOf(seq),
      recorded: timestampOf(seq),
      epoch: 1,
      v: '1',
      ...(seq > 1 && { prev: this.leaf }),
      ...members,
      stream: this.stream,
      seq,
    })
    this.lines.push(line)
    this.#frontier.append(leafOf(line))
    return this
  }

  open(details: Record<string, unknown> = {}): this {
    const all = {
      deployment: this.#deployment,
      previous_end: 'none',
      reason: 'new',
      recovered: 0,
      quarantined: 0,
      ...details,
    }
    return this.seal({ action: 'audit.stream.opened', event_type: 'audit.stream.opened', details: all })
  }

  /** Ordinary records, with an actor, a trace and text beyond ASCII. */
  act(count: number): this {
    for (let made = 0; made < count; made += 1) {
      const seq = this.lines.length + 1
      this.seal({
        actor: { id: `u-${seq}`, type: 'user' },
        correlation_id: `c-${seq}`,
        details: { note: `Ünïcode "quoted" ${seq}`, prev: 'ff'.repeat(32), seq: 99 },
        target: { id: String(seq), resource_type: 'invoice' },
        trace: { flags: 1, id: String(seq).padStart(32, 'a'), span: String(seq).padStart(16, 'b') },
      })
    }
    return this
  }

  checkpoint(keys: Keys = this.#keys, origin = originOf(this.#deployment, this.stream)): this {
    this.#signedSize = this.#frontier.size
    return this.sealCheckpoint(checkpointDetails(this.#frontier, origin, keys.signer))
  }

  sealCheckpoint(details: object): this {
    return this.seal({ action: 'audit.checkpoint', event_type: 'audit.checkpoint', details })
  }

  /** As at a clean end: `closed`, then the checkpoint that covers it. */
  close(): this {
    return this.seal({ action: 'audit.stream.closed', event_type: 'audit.stream.closed', details: {} }).checkpoint()
  }

  get signedSize(): number {
    return this.#signedSize
  }
}

/** `opened`, records with a checkpoint after every `interval` of them, `closed`, final checkpoint. */
export function makeTrail(options: { stream: string; keys: Keys; records: number; interval: number }): TrailWriter {
  const { stream, keys, records, interval } = options
  const writer = new TrailWriter(stream, keys).open()
  for (let left = records; left > 0; left -= interval) {
    writer.act(Math.min(interval, left))
    if (left > interval) writer.checkpoint()
  }
  return writer.close()
}

/** The records again, linked anew from the changed one on: what can be done without the key. */
export function rechain(lines: readonly string[]): string[] {
  let prev: string | undefined
  return lines.map((line, index) => {
    const members = JSON.parse(line) as Members
    const linked = canonical({ ...members, seq: index + 1, prev })
    prev = leafOf(linked)
    return linked
  })
}

export function toNdjson(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('')
}

/** OTLP JSON lines as the collector's file exporter (0.161) writes them, in batches of `batchRecords`. */
export function toOtlp(lines: readonly string[], batchRecords = 10): string {
  let text = ''
  for (let from = 0; from < lines.length; from += batchRecords) {
    const logRecords = lines.slice(from, from + batchRecords).map(toLogRecord)
    const scopeLogs = [{ scope: { name: 'otel-audit', version: '0.1.0' }, logRecords }]
    const attributes = [{ key: 'service.name', value: { stringValue: 'billing' } }]
    text += `${JSON.stringify({ resourceLogs: [{ resource: { attributes }, scopeLogs }] })}\n`
  }
  return text
}

interface Projected {
  readonly [member: string]: unknown
  readonly actor?: { id: string; type: string }
  readonly target?: { id: string; resource_type: string }
  readonly trace?: { id: string; span: string; flags: number }
}

/** What docs/formats.md section 4 derives from the records of these tests. */
function toLogRecord(line: string): Record<string, unknown> {
  const record = JSON.parse(line) as Projected
  const attributes = {
    'log.record.uid': record.id,
    'audit.record.id': record.id,
    'audit.record.hash': leafOf(line),
    'audit.sequence.stream_id': record.stream,
    'audit.sequence.number': record.seq,
    'audit.sequence.previous_hash': record.prev,
    'audit.schema.version': record.schema,
    'audit.action': record.action,
    'audit.operation': record.operation,
    'audit.level': record.level,
    'audit.outcome': record.outcome,
    'audit.actor.id': record.actor?.id,
    'audit.actor.type': record.actor?.type,
    'audit.target.id': record.target?.id,
    'audit.target.type': record.target?.resource_type,
    'audit.correlation.id': record.correlation_id,
  }
  return {
    timeUnixNano: nanosOf(record.timestamp),
    observedTimeUnixNano: nanosOf(record.recorded),
    severityNumber: 9,
    severityText: 'INFO',
    body: { stringValue: line },
    attributes: Object.entries(attributes).flatMap(([key, value]) => {
      if (value === undefined) return []
      return [{ key, value: typeof value === 'number' ? { intValue: String(value) } : { stringValue: value } }]
    }),
    ...(record.trace && { flags: record.trace.flags, traceId: record.trace.id, spanId: record.trace.span }),
    eventName: record.action,
  }
}

function nanosOf(timestamp: unknown): string {
  return `${Date.parse(`${String(timestamp).slice(0, 19)}Z`)}000000`
}

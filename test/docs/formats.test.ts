/**
 * docs/formats.md against the frozen files under test/vectors/records, and both against the code: the three must
 * agree, and only the code may be changed to make them. The example was made by another program from the text alone.
 */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { formatCheckpoint, openCheckpoint } from '../../src/chain/checkpoint.ts'
import { leafHash } from '../../src/chain/hash.ts'
import { signerFromPem } from '../../src/chain/keys.ts'
import { Frontier } from '../../src/chain/merkle.ts'
import { parseVerifierKey, signNote, type Verifier } from '../../src/chain/note.ts'
import { canonicalize, type JsonObject } from '../../src/event/canonical.ts'
import { convertEvent } from '../../src/event/convert.ts'
import { projectRecord } from '../../src/event/log-record.ts'
import { attributeNames, scopeName } from '../../src/event/names.ts'
import {
  type ControlType,
  encodeControl,
  encodeRecord,
  type Position,
  parseRecord,
  type RecordMembers,
} from '../../src/event/record.ts'
import * as limits from '../../src/limits.ts'
import { derivedColumns } from '../../src/postgres/projection.ts'
import { decodeFrame, encodeFrame, frameHeaderBytes, segmentHeaderBytes, spoolVersion } from '../../src/spool/format.ts'
import {
  decodeSegmentFrontier,
  decodeSegmentHeader,
  encodeSegmentFrontier,
  encodeSegmentHeader,
} from '../../src/spool/segment-header.ts'
import { decodeSlot, encodeSlot, slotBytes } from '../../src/spool/slots.ts'
import { spoolStates } from '../../src/spool/state.ts'
import { openSource } from '../../src/verify/sources.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { fencesOf, quotedIn, readDocument, root, tableOf } from './markdown.ts'

const document = readDocument('docs/formats.md')
const fences = fencesOf(document)
const folder = join(root, 'test/vectors/records')
const read = (name: string): string => readFileSync(join(folder, name), 'utf8')

const lines = read('trail.ndjson').split('\n').slice(0, -1)
const leaves = read('leaves.txt').split('\n').slice(0, -1)
const records = lines.map((line) => parseRecord(Buffer.from(line)) as Complete)
const verifier = parseVerifierKey(read('vkey').trim()) as Verifier

/** The members that every record has; the example's are all there. */
type Complete = RecordMembers &
  Required<Pick<RecordMembers, 'action' | 'event_type' | 'id' | 'stream' | 'recorded'>> & {
    seq: number
    epoch: number
    service: string
  }

describe('the document', () => {
  it('shows the frozen files as they are', () => {
    const shown = fences.filter(({ marker }) => marker.startsWith('file: '))
    assert.equal(shown.length, 5)
    for (const { marker, text } of shown) assert.equal(text, readDocument(marker.slice('file: '.length)), marker)
  })

  it('shows a log record of the frozen projection', () => {
    const shown = fences.find(({ marker }) => marker === 'otlp: 2')
    const { body, ...rest } = logRecords()[1] ?? {}
    assert.deepEqual(JSON.parse(shown?.text ?? ''), rest)
    assert.deepEqual(body, { stringValue: lines[1] })
  })

  it('shows the bytes of the frozen spool', () => {
    const shown = fences.filter(({ marker }) => marker.startsWith('hex: '))
    assert.equal(shown.length, Object.keys(spool).length)
    for (const { marker, text } of shown) {
      const bytes = spool[marker.slice('hex: '.length) as keyof typeof spool]
      assert.equal(bytesIn(text).toString('hex'), bytes.toString('hex'), marker)
    }
  })

  it('gives commands of other tools that print what it says', (t) => {
    const openssl = spawnSync('openssl', ['version'], { encoding: 'utf8' }).stdout ?? ''
    if (!openssl.startsWith('OpenSSL 3')) return t.skip(`needs OpenSSL 3 and found ${openssl.trim() || 'none'}`)
    const scripts = fences.flatMap((fence, index) =>
      fence.marker.startsWith('run: ') ? [{ script: fence.text, prints: fences[index + 1] }] : [],
    )
    assert.equal(scripts.length, 2)
    for (const { script, prints } of scripts) {
      assert.equal(prints?.marker, 'prints')
      assert.equal(runInCopy(script), prints?.text)
    }
  })

  it('names every attribute of the projection', () => {
    const documented = tableOf(document, 'attribute', 'member').flatMap(([names = '']) => quotedIn(names))
    assert.deepEqual(documented.sort(), Object.values(attributeNames).sort())
    assert.ok(document.includes(`name \`${scopeName}\``))
  })

  it('names every column that is derived', () => {
    const documented = tableOf(document, 'column', 'type').flatMap(([names = '', type = '']) => {
      return quotedIn(names).map((name) => ({ name, type }))
    })
    const keys = documented.filter(({ name }) => name === 'stream' || name === 'seq')
    assert.equal(keys.length, 2)
    assert.deepEqual(
      documented.filter((column) => !keys.includes(column)).sort(byName),
      derivedColumns.map(({ name, type }) => ({ name, type })).sort(byName),
    )
  })

  it('names every control type', () => {
    const named = new Set(quotedIn(document).filter((text) => /^audit\.(?:[a-z]+\.)?[a-z]+$/.test(text)))
    const types = readDocument('src/event/record.ts').match(/(?<=^ {2}\| ')audit\.[\w.]+(?=')/gm) as ControlType[]
    assert.ok(types.length > 10)
    assert.deepEqual(
      types.filter((type) => !named.has(type)),
      [],
    )
  })

  it('names every member of the slots, every state and every reason for a new stream', () => {
    const rows = tableOf(document, 'member', 'in')
    const documented = rows.map(([names = '', where = '']) => ({ names: quotedIn(names), where }))
    const namedIn = (slot: string) =>
      documented.filter(({ where }) => where.includes(slot)).flatMap(({ names }) => names)
    const control = readDocument('src/spool/control.ts')
    assert.deepEqual(namedIn('state').sort(), membersOf(control, 'ControlState').sort())
    assert.deepEqual(namedIn('slot 2').sort(), ['segment', 'offset', ...membersOf(control, 'Published')].sort())
    assert.deepEqual(namedIn('cursor').sort(), membersOf(readDocument('src/spool/cursor.ts'), 'Cursor').sort())
    assert.deepEqual(namedIn('slot 3'), ['windows'])
    const window = rows.find(([names]) => names === '`windows`')?.[2] ?? ''
    const counts = readDocument('src/spool/running-counts.ts')
    const members = ['SavedWindow', 'SuppressionWindow', 'RuleCount'].flatMap((name) => membersOf(counts, name))
    const others = ['stream', 'sequence', 'audit.suppressed']
    assert.deepEqual([...new Set(quotedIn(window))].sort(), [...members, ...others].sort())
    const text = rows.find(([names]) => names === '`state`')?.[2] ?? ''
    assert.deepEqual(quotedIn(text), [...spoolStates, 'ok'])
    const reasons = tableOf(document, 'reason', 'a new stream begins because').flatMap(([name = '']) => quotedIn(name))
    const union = /type StreamReason = ([^\n]*(?:\n {2}\|[^\n]*)*)/.exec(control)?.[1] ?? ''
    assert.deepEqual(reasons.sort(), [...union.matchAll(/'(\w+)'/g)].map(([, name]) => name).sort())
  })

  it('states the version and the sizes of the spool', () => {
    assert.ok(document.includes(`## 5. Spool files, version ${spoolVersion}\n`))
    assert.ok(document.includes(`| 8 | 2 | format version, ${spoolVersion} |`))
    assert.ok(document.includes(`A header of ${segmentHeaderBytes.toLocaleString('en-US')} bytes, then frames.`))
    assert.ok(document.includes(`The header has ${frameHeaderBytes} bytes:`))
    assert.ok(document.includes(`Slots of ${slotBytes.toLocaleString('en-US')} bytes.`))
    assert.match(document, new RegExp(`next multiple of ${limits.sectorBytes}`))
  })

  it('states the limits of the format', () => {
    const { recordBytesMax, eventSizeMax, checkpointLagMax, binaryBytesMax, containerKeysMax } = limits
    const { identifierBytesMax, userAgentBytesMax, messageBytesMax, checkpointRecords, noteSignaturesMax } = limits
    const frozen = [recordBytesMax, eventSizeMax, checkpointLagMax, binaryBytesMax, containerKeysMax]
    const cuts = [identifierBytesMax, userAgentBytesMax, messageBytesMax, checkpointRecords, noteSignaturesMax]
    for (const limit of [...frozen, ...cuts]) {
      assert.match(document, new RegExp(`(?<![\\d,])${limit.toLocaleString('en-US')}(?!,?\\d)`))
    }
  })
})

describe('the code', () => {
  it('hashes the records to their leaves, each the prev of the next', () => {
    assert.deepEqual(lines.map(leafHash), leaves)
    assert.deepEqual(
      records.map(({ prev }) => prev),
      [undefined, ...leaves.slice(0, -1)],
    )
  })

  it('serializes the records to the same bytes', () => {
    for (const line of lines) assert.equal(canonicalize(JSON.parse(line)), line)
  })

  it('seals the same events at the same places to the same bytes', () => {
    for (const [index, record] of records.entries()) assert.equal(sealAgain(record), lines[index])
  })

  it('folds the leaves to the signed roots, signs the same notes, and opens them', () => {
    const frontier = new Frontier()
    for (const [index, record] of records.entries()) {
      if (record.event_type === 'audit.checkpoint') {
        const note = record.details?.note as string
        const origin = `prod/${record.stream}`
        assert.equal(note, read(`checkpoint-${frontier.size === 3 ? 1 : 2}.note`))
        assert.equal(signNote(formatCheckpoint({ origin, size: frontier.size, root: frontier.root() }), signer()), note)
        const opened = openCheckpoint(record.details, origin, [verifier])
        assert.equal(opened.problem, undefined)
        assert.equal(opened.problem === undefined && opened.size, frontier.size)
      }
      frontier.append(leaves[index] ?? '')
    }
  })

  it('projects the records to the same log records', () => {
    for (const [index, log] of logRecords().entries()) {
      const projection = projectRecord(records[index], leaves[index] ?? '')
      const { trace } = projection
      assert.deepEqual(
        {
          timeUnixNano: String(projection.timeUnixNano),
          observedTimeUnixNano: String(projection.observedTimeUnixNano),
          severityNumber: projection.severityNumber,
          severityText: projection.severityText,
          eventName: projection.eventName,
          body: { stringValue: lines[index] },
          attributes: projection.attributes,
          ...(trace && { traceId: trace.id, spanId: trace.span, flags: trace.flags }),
        },
        { ...log, attributes: attributesIn(log) },
      )
    }
  })

  it('writes and reads the same spool', () => {
    const header = decodeSegmentHeader(spool.segmentHeader)
    assert.ok(header.ok)
    assert.deepEqual(encodeSegmentHeader(header.header).subarray(0, 512), spool.segmentHeader)

    const whole = Buffer.alloc(4_096)
    spool.frontierBlock.copy(whole, 512)
    const frontier = decodeSegmentFrontier(whole)
    assert.ok(frontier !== undefined)
    assert.equal(frontier.frameCrc, header.crc)
    assert.deepEqual(encodeSegmentFrontier(frontier).bytes, spool.frontierBlock)

    const reading = decodeFrame(spool.frame, 0, header.header.salt)
    assert.ok(reading.kind === 'frame')
    assert.equal(reading.frame.record.toString(), lines[0])
    assert.equal(reading.frame.previousCrc, header.crc)
    const again = Buffer.alloc(spool.frame.length, 0xee)
    reading.frame.record.copy(again, frameHeaderBytes)
    encodeFrame(again, reading.frame, { record: reading.frame.record.length, attachment: 0 })
    assert.deepEqual(again, spool.frame)

    const slot = decodeSlot(spool.controlSlot)
    assert.ok(slot !== undefined && 'members' in slot)
    assert.equal((slot.members.watermark as JsonObject).hash, leaves[0])
    assert.deepEqual(encodeSlot(slot), spool.controlSlot)
  })

  for (const name of ['trail.ndjson', 'collector.jsonl']) {
    it(`calls ${name} intact`, async () => {
      const report = await verifySource(await openSource(join(folder, name)), { verifiers: [verifier] })
      assert.equal(report.verdict, 'INTACT', JSON.stringify(report.findings))
      assert.deepEqual([report.records, report.checkpoints], [6, 2])
    })
  }
})

/** Names of the members of an interface, as its source lists them. */
function membersOf(source: string, name: string): string[] {
  const body = new RegExp(`interface ${name} (?:extends \\w+ )?\\{\\n(.*?)\\n\\}`, 's').exec(source)?.[1] ?? ''
  return [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, member]) => member ?? '')
}

interface OtlpLog {
  readonly body?: unknown
  readonly attributes?: readonly { readonly key: string; readonly value: JsonObject }[]
}

function logRecords(): OtlpLog[] {
  const batch = JSON.parse(read('collector.jsonl')) as {
    resourceLogs: { scopeLogs: { logRecords: OtlpLog[] }[] }[]
  }
  return batch.resourceLogs[0]?.scopeLogs[0]?.logRecords ?? []
}

function attributesIn({ attributes = [] }: OtlpLog): JsonObject {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, value.stringValue ?? Number(value.intValue)]),
  ) as JsonObject
}

const spool = readSpool()

function readSpool() {
  const { segmentHeader, frontierBlock, frame, controlSlot } = JSON.parse(read('spool-version-1.json'))
  const hex = (text: string): Buffer => Buffer.from(text, 'hex')
  return {
    segmentHeader: hex(segmentHeader),
    frontierBlock: hex(frontierBlock),
    frame: hex(frame),
    controlSlot: Buffer.concat([hex(controlSlot.start), Buffer.alloc(controlSlot.zeros), hex(controlSlot.crc)]),
  }
}

/** The bytes of an annotated block: the first word of each line is hex, or `00*N` for N zeros. */
function bytesIn(text: string): Buffer {
  return Buffer.concat(
    text.split('\n').map((line) => {
      const word = line.split(' ', 1)[0] ?? ''
      return word.startsWith('00*') ? Buffer.alloc(Number(word.slice(3))) : Buffer.from(word, 'hex')
    }),
  )
}

function runInCopy(script: string): string {
  const copy = mkdtempSync(join(tmpdir(), 'otel-audit-formats-'))
  try {
    cpSync(folder, copy, { recursive: true })
    const run = spawnSync('bash', ['-euo', 'pipefail', '-c', script], { cwd: copy, encoding: 'utf8', timeout: 20_000 })
    assert.equal(run.status, 0, run.stderr)
    return run.stdout
  } finally {
    rmSync(copy, { recursive: true })
  }
}

/** What sealing makes of the event in a record, with the place that the record states. */
function sealAgain(record: Complete): string {
  const { event_type, id, stream, seq, prev, epoch, recorded, clock, service } = record
  const position: Position = { id, stream, sequence: seq, previousHash: prev, epoch, recorded, clock }
  if (event_type !== 'audit') {
    return encodeControl({ type: event_type as ControlType, details: record.details ?? {}, service }, position)
  }
  const { action, actor, operation, outcome, target, details, reason, request, trace, correlation_id } = record
  const given = { action, actor, operation, outcome, target, details, reason, request, trace, correlation_id }
  const event = convertEvent({ ...given, timestamp: record.timestamp })
  event.level = record.level
  event.policy = record.policy
  event.redactions = record.redactions as JsonObject[] | undefined
  event.service = service
  return encodeRecord(event, position)
}

/** RFC 8032 section 7.1, TEST 1. */
function signer() {
  const seed = '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'
  const der = Buffer.from(`302e020100300506032b657004220420${seed}`, 'hex')
  const pem = `-----BEGIN PRIVATE KEY-----\n${der.toString('base64')}\n-----END PRIVATE KEY-----\n`
  const made = signerFromPem(pem, 'prod')
  assert.equal(made.verifierKey, read('vkey').trim())
  return made
}

function byName(one: { name: string }, other: { name: string }): number {
  return one.name < other.name ? -1 : 1
}

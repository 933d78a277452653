/**
 * Every parser that reads what somebody else may have written, with sound samples of what it reads. A target throws when
 * a promise broke: that damaged input gives a verdict and no exception, and that what was not signed is not believed.
 */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { decodeEntries, decodeTile, encodeEntries } from '../../src/archive/tiles.ts'
import { openCheckpoint, parseCheckpoint } from '../../src/chain/checkpoint.ts'
import { openNote, parseVerifierKey } from '../../src/chain/note.ts'
import { openRotation } from '../../src/chain/rotation.ts'
import { parseRecord } from '../../src/event/record.ts'
import { scanRecord } from '../../src/event/record-scan.ts'
import { decodeFrame, encodeFrame, frameBytes, frameHeaderBytes } from '../../src/spool/format.ts'
import {
  decodeSegmentFrontier,
  decodeSegmentHeader,
  encodeSegmentFrontier,
  encodeSegmentHeader,
} from '../../src/spool/segment-header.ts'
import { parseLink } from '../../src/verify/link.ts'
import { checkProof } from '../../src/verify/proof.ts'
import { createProof } from '../../src/verify/prove.ts'
import { readKept } from '../../src/verify/since.ts'
import { createNdjsonSource } from '../../src/verify/sources/ndjson.ts'
import { createOtlpSource } from '../../src/verify/sources/otlp.ts'
import { openSource } from '../../src/verify/sources.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { makeKeys, makeTrail, toNdjson, toOtlp } from '../support/trail.ts'
import { craftSpool } from '../tamper/crafted-spool.ts'

export interface FuzzTarget {
  readonly name: string
  /** What part of the inputs it is given: those that verify a whole copy cost a thousand times more. */
  readonly share: number
  readonly samples: readonly Buffer[]
  /** Whether it is believed; throws when a promise broke. `isSound`: the input is a sample as it was. */
  check(input: Buffer, isSound: boolean): boolean | Promise<boolean>
}

const keys = makeKeys('prod')
const verifiers = [keys.verifier]
const stream = '019b7c2f-1111-7000-8000-000000000001'
const lines = makeTrail({ stream, keys, records: 6, interval: 3 }).lines
const noteOf = (line = ''): string => JSON.parse(line).details.note
const notes = [noteOf(lines[4]), noteOf(lines.at(-1))].map((note) => Buffer.from(note))
const records = lines.map((line) => Buffer.from(line))

export async function makeTargets(): Promise<FuzzTarget[]> {
  const openBytes = async function* (): AsyncGenerator<Buffer> {
    yield Buffer.from(toNdjson(lines))
  }
  const proven = await createProof(createNdjsonSource('copy', openBytes), { sequence: 3 }, verifiers)
  assert.ok(proven.problem === undefined)
  return [
    ...signedTargets(proven.proof, proven.record),
    ...recordTargets(),
    ...byteTargets(),
    ...fileTargets(),
    ...copyTargets(),
  ]
}

/** What is believed for a signature must be what was signed. */
function signedTargets(proof: string, record: Buffer): FuzzTarget[] {
  return [
    target({ name: 'note', share: 1, samples: notes }, (input) => {
      const opened = openNote(input.toString('utf8'), verifiers)
      if (opened.problem !== undefined) return false
      assert.ok(
        notes.some((note) => note.toString().startsWith(opened.text)),
        'a text was believed that nobody signed',
      )
      return true
    }),
    target({ name: 'checkpoint', share: 1, samples: notes }, (input) => {
      const text = input.toString('utf8')
      parseCheckpoint(text)
      openCheckpoint(parseAnything(input), undefined, verifiers)
      return (
        openCheckpoint({ note: text, frontier: JSON.parse(lines[4] ?? '').details.frontier }, undefined, verifiers)
          .problem === undefined
      )
    }),
    target({ name: 'kept checkpoints', share: 1, samples: [...notes, Buffer.concat(notes)] }, (input) => {
      const kept = readKept(input.toString('utf8'), verifiers)
      if (typeof kept === 'string') return false
      const proven = kept.filter(({ unproven }) => unproven === undefined)
      for (const { stream: named } of proven) assert.equal(named, stream)
      return proven.length > 0
    }),
    target({ name: 'verifier key', share: 1, samples: [Buffer.from(keys.signer.verifierKey)] }, (input, isSound) => {
      const isKey = !('problem' in parseVerifierKey(input.toString('utf8')))
      if (isKey && !isSound) assert.equal(input.toString('utf8'), keys.signer.verifierKey, 'a key without its checksum')
      return isKey
    }),
    target(
      { name: 'rotation', share: 1, samples: records },
      (input) => openRotation(parseAnything(input)).problem === undefined,
    ),
    target({ name: 'proof', share: 1, samples: [Buffer.from(proof)] }, (input) => {
      const isProven = checkProof(input.toString('utf8'), record, verifiers).problem === undefined
      // Two texts of one proof: an extra line, and signatures of unknown keys, prove nothing and harm nothing.
      if (isProven) assert.ok(input.includes(proof.slice(proof.indexOf('index'), proof.indexOf('\u2014'))))
      return isProven
    }),
    target({ name: 'proven record', share: 1, samples: [record] }, (input, isSound) => {
      const isProven = checkProof(proof, input, verifiers).problem === undefined
      assert.equal(isProven, isSound || input.equals(record))
      return isProven
    }),
  ]
}

function recordTargets(): FuzzTarget[] {
  return [
    target({ name: 'record', share: 1, samples: records }, (input) => {
      const scanned = scanRecord(input)
      const members = parseRecord(input)
      if (scanned === undefined) return members !== undefined
      assert.ok(members !== undefined, 'the scan took what the parser refuses')
      assert.deepEqual(
        [scanned.stream, scanned.seq, scanned.prev],
        [members.stream ?? '', members.seq ?? 0, members.prev ?? ''],
      )
      return true
    }),
  ]
}

function byteTargets(): FuzzTarget[] {
  const record = records[2] ?? Buffer.alloc(0)
  const load = { record: record.length, attachment: 0 }
  const frame = Buffer.alloc(frameBytes(load))
  record.copy(frame, frameHeaderBytes)
  encodeFrame(
    frame,
    { flags: 0, salt: 7, number: 1, sequence: 3, previousCrc: 9, known: { segment: 1, offset: 4_096 } },
    load,
  )
  const header = encodeSegmentHeader({
    kind: 'explicit',
    spoolId: stream,
    stream,
    segment: 1,
    salt: 7,
    epoch: 1,
    previous: 0,
    base: 1,
    previousLength: 0,
    publishedLength: 4_096,
    previousHash: undefined,
    createdMs: 1,
  })
  const block = encodeSegmentFrontier({
    base: 3,
    previousHash: 'ab'.repeat(32),
    hashes: [Buffer.alloc(32)],
    frameCrc: 1,
    writtenMs: 2,
  })
  block.bytes.copy(header, block.offset)
  return [
    target({ name: 'frame', share: 1, samples: [frame] }, (input) => {
      // With its checksums mended, as somebody does who knows the format.
      if (input.length >= frameHeaderBytes && input.length % 2 === 0) mendFrame(input)
      for (let at = 0; at < Math.min(input.length, 64); at += 8) decodeFrame(input, at, 7)
      return decodeFrame(input, 0, 7).kind === 'frame'
    }),
    target({ name: 'segment header', share: 1, samples: [header] }, (input) => {
      if (input.length >= 512) input.writeUInt32LE(crc32(input.subarray(0, 508)), 508)
      if (input.length >= 4_096) decodeSegmentFrontier(input)
      return decodeSegmentHeader(input).ok
    }),
    target({ name: 'entries tile', share: 1, samples: [encodeEntries(records)] }, (input) => {
      decodeTile(input, input.length >> 5)
      return decodeEntries(input).isWhole
    }),
  ]
}

function mendFrame(frame: Buffer): void {
  const end = Math.min(frame.length, (frameHeaderBytes + frame.readUInt32LE(24) + frame.readUInt32LE(28) + 8) & ~7)
  frame.writeUInt32LE(crc32(frame.subarray(frameHeaderBytes, Math.max(frameHeaderBytes, end))), 44)
  frame.writeUInt32LE(crc32(frame.subarray(0, 52)), 52)
}

/** Files as their readers hand them over. Whatever a reader gives can be judged, and a position can be named. */
function fileTargets(): FuzzTarget[] {
  const readAll = async (create: typeof createNdjsonSource, input: Buffer): Promise<boolean> => {
    const source = create('copy', () => chunksOf(input))
    let [found, damaged] = [0, 0]
    for await (const group of source.read()) {
      for (const one of group) {
        assert.equal(typeof source.locate(one.position), 'string')
        if (one.damage !== undefined) damaged += 1
        else if (parseLink(one) !== undefined) found += 1
      }
    }
    return damaged === 0 && found === few.length
  }
  const few = lines.slice(1, 5)
  return [
    target({ name: 'NDJSON', share: 1, samples: [Buffer.from(toNdjson(few))] }, (input) =>
      readAll(createNdjsonSource, input),
    ),
    target({ name: 'OTLP JSON', share: 1, samples: [Buffer.from(toOtlp(few, 2))] }, (input) =>
      readAll(createOtlpSource, input),
    ),
  ]
}

/** Whole copies. What is verified without a finding holds every record that a checkpoint covers, unchanged. */
function copyTargets(): FuzzTarget[] {
  const whole = (create: typeof createNdjsonSource, input: Buffer) =>
    verifySource(
      create('copy', () => chunksOf(input)),
      { verifiers },
    )
  return [
    target({ name: 'NDJSON, verified', share: 1 / 50, samples: [Buffer.from(toNdjson(lines))] }, async (input) => {
      const { exitCode, streams } = await whole(createNdjsonSource, input)
      const coveredTo = exitCode === 0 ? (streams[0]?.coveredTo ?? 0) : 0
      for (const line of lines.slice(0, coveredTo))
        assert.ok(input.includes(line), 'a covered record is not what was sealed')
      return exitCode === 0
    }),
    target(
      { name: 'OTLP JSON, verified', share: 1 / 50, samples: [Buffer.from(toOtlp(lines, 4))] },
      async (input) => (await whole(createOtlpSource, input)).exitCode === 0,
    ),
    target({ name: 'spool, verified', share: 1 / 250, samples: records }, (input) => verifySpool(input)),
  ]
}

/** A spool that holds the input as one of its records, in a frame whose checksums are sound. */
async function verifySpool(input: Buffer): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'otel-audit-fuzz-'))
  try {
    const directory = join(folder, 'spool')
    craftSpool(directory, lines.with(3, input.toString('utf8')))
    const report = await verifySource(await openSource(directory), { verifiers })
    writeFileSync(join(folder, 'report'), JSON.stringify(report)) // it can be printed
    return report.exitCode === 0
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function* chunksOf(input: Buffer): AsyncGenerator<Buffer> {
  // Cut where the bytes say, so that lines break over chunks in every way.
  const middle = input.length === 0 ? 0 : (input[0] ?? 0) % input.length
  yield input.subarray(0, middle)
  yield input.subarray(middle)
}

function parseAnything(input: Buffer): unknown {
  try {
    return JSON.parse(input.toString('utf8')).details
  } catch {
    return input.toString('latin1')
  }
}

function target(one: Omit<FuzzTarget, 'check'>, check: FuzzTarget['check']): FuzzTarget {
  return { ...one, check }
}

/**
 * Beside the tamper matrix (test/tamper): every single byte, the evidence in a finding, keys, and bytes that are no
 * record. The trail: 1 opened, 2–17 acts, 18 checkpoint, 19–34 acts, 35 checkpoint, 36–51 acts, 52 checkpoint,
 * 53–58 acts, 59 closed, 60 checkpoint.
 */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkpointDetails } from '../../src/chain/checkpoint.ts'
import { Frontier } from '../../src/chain/merkle.ts'
import type { Finding, SourceReport } from '../../src/verify/report.ts'
import type { Source } from '../../src/verify/source.ts'
import { createNdjsonSource } from '../../src/verify/sources/ndjson.ts'
import { createOtlpSource } from '../../src/verify/sources/otlp.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { canonical, leafOf, makeKeys, makeTrail, rechain, TrailWriter, toNdjson, toOtlp } from '../support/trail.ts'

const keys = makeKeys('prod')
const stream = '019b7c2f-1111-7000-8000-000000000001'
const trail = makeTrail({ stream, keys, records: 54, interval: 16 }).lines

type Kind = 'ndjson' | 'otlp'

function sourceOf(kind: Kind, bytes: string | Buffer): Source {
  const openBytes = async function* (): AsyncGenerator<Buffer> {
    yield Buffer.from(bytes)
  }
  return kind === 'ndjson' ? createNdjsonSource('copy', openBytes) : createOtlpSource('copy', openBytes)
}

function check(kind: Kind, bytes: string | Buffer, more: { verifiers?: never[]; allowPartial?: boolean } = {}) {
  return verifySource(sourceOf(kind, bytes), { verifiers: [keys.verifier], ...more })
}

/** `VERDICT sequence` or `VERDICT from-to` of each finding. */
function named({ findings }: SourceReport): string[] {
  return findings.map(nameOf)
}

function nameOf({ verdict, sequence, from, to }: Finding): string {
  if (sequence !== undefined) return `${verdict} ${sequence}`
  return from === undefined ? verdict : `${verdict} ${from}-${to}`
}

const line = (sequence: number): string => trail[sequence - 1] ?? ''
const without = (from: number, to = from): string[] => trail.toSpliced(from - 1, to - from + 1)
const replaced = (sequence: number, by: string): string[] => trail.with(sequence - 1, by)
const edited = (sequence: number, change: (members: Record<string, unknown>) => object): string =>
  canonical({ ...JSON.parse(line(sequence)), ...change(JSON.parse(line(sequence))) })
const otherActor = (): object => ({ actor: { id: 'mallory', type: 'user' } })
const inserted = (at: number, ...lines: string[]): string[] => trail.toSpliced(at - 1, 0, ...lines)

describe('every single byte', () => {
  // Small, because every byte costs a verification: 1 opened, 2–4 acts, 5 checkpoint, 6 act, 7 closed, 8 checkpoint.
  const small = makeTrail({ stream, keys, records: 4, interval: 3 }).lines

  it('of an NDJSON file is found and named, up to the uncovered checkpoint', async () => {
    const bytes = Buffer.from(toNdjson(small))
    const covered = Buffer.byteLength(toNdjson(small.slice(0, -1)))
    await assertFlipsNamed('ndjson', bytes, [
      [0, covered, (at) => bytes.subarray(0, at).toString('latin1').split('\n').length],
    ])
  })

  it('of a body in OTLP JSON is found and named, up to the uncovered checkpoint', async () => {
    const bytes = Buffer.from(toOtlp(small, 4))
    const bodies = small.slice(0, -1).map((text, index): FlipRange => {
      const body = Buffer.from(JSON.stringify(text))
      const start = bytes.indexOf(body)
      return [start + 1, start + body.length - 1, () => index + 1]
    })
    await assertFlipsNamed('otlp', bytes, bodies)
  })
})

/** From, to, and the sequence of the record that holds a byte. */
type FlipRange = readonly [number, number, (at: number) => number]

async function assertFlipsNamed(kind: Kind, bytes: Buffer, ranges: readonly FlipRange[]): Promise<void> {
  assert.deepEqual(named(await check(kind, bytes)), [])
  for (const [from, to, sequenceAt] of ranges) {
    assert.ok(from > -1 && to > from)
    for (let at = from; at < to; at += 1) {
      const copy = Buffer.from(bytes)
      copy[at] = (copy[at] ?? 0) ^ (1 << (at % 8))
      const { findings, exitCode } = await check(kind, copy)
      const sequence = sequenceAt(at)
      const shown = `byte ${at}: ${copy.subarray(Math.max(0, at - 20), at + 20)} ${JSON.stringify(findings)}`
      assert.equal(exitCode, 1, shown)
      assert.equal(findings.length, 1, shown)
      assert.equal(findings[0]?.verdict, 'CONTENT_TAMPERED', shown)
      const [first = 0, last = 0] = [
        findings[0]?.sequence ?? findings[0]?.from,
        findings[0]?.sequence ?? findings[0]?.to,
      ]
      assert.ok(first <= sequence && sequence <= last && last - first <= 1, shown)
    }
  }
}

describe('evidence', () => {
  it('of an edit is the hash that was sealed and the hash that was found, with the place', async () => {
    const forged = edited(25, otherActor)
    const { findings } = await check('ndjson', toNdjson(replaced(25, forged)))
    const [{ detail, ...finding } = { detail: '' }] = findings
    assert.deepEqual(finding, {
      verdict: 'CONTENT_TAMPERED',
      source: 'copy',
      stream,
      sequence: 25,
      expected: leafOf(line(25)),
      found: leafOf(forged),
      where: 'line 25',
    })
    assert.match(detail, /changed/)
  })

  it('of a deletion is the hash that was sealed', async () => {
    const { findings } = await check('ndjson', toNdjson(without(25)))
    assert.equal(findings[0]?.expected, leafOf(line(25)))
  })

  it('of attributes that contradict the body names the attribute, and the record stands', async () => {
    const copy = toOtlp(trail).replace('"u-25"', '"u-26"')
    const { findings } = await check('otlp', copy)
    assert.deepEqual(findings.map(nameOf), ['PROJECTION_MISMATCH 25'])
    assert.equal(findings[0]?.detail, 'audit.actor.id is not what the record says')
    assert.deepEqual([findings[0]?.expected, findings[0]?.found], ['u-25', 'u-26'])
  })
})

describe('keys', () => {
  it('of somebody else give BAD_SIGNATURE, one finding for all checkpoints', async () => {
    const { verifier } = makeKeys('prod', 2)
    const report = await verifySource(sourceOf('ndjson', toNdjson(trail)), { verifiers: [verifier] })
    assert.deepEqual(named(report), ['BAD_SIGNATURE 18-60'])
  })

  it('of another deployment do not speak for this one', async () => {
    const other = makeKeys('staging')
    const writer = new TrailWriter(stream, other, 'prod').open().act(3).close()
    const verifiers = [keys.verifier, other.verifier]
    const report = await verifySource(sourceOf('ndjson', toNdjson(writer.lines)), { verifiers })
    assert.deepEqual(named(report), ['WRONG_ORIGIN 6'])
  })

  it('of two deployments cannot take turns in one stream', async () => {
    const other = makeKeys('staging')
    const writer = new TrailWriter(stream, keys)
      .open()
      .act(3)
      .checkpoint()
      .act(3)
      .checkpoint(other, `staging/${stream}`)
    const verifiers = [keys.verifier, other.verifier]
    const report = await verifySource(sourceOf('ndjson', toNdjson(writer.lines)), { verifiers })
    assert.deepEqual(named(report), ['WRONG_ORIGIN 9'])
  })

  it('that were rotated are believed together', async () => {
    const rotated = makeKeys('prod', 2)
    const writer = new TrailWriter(stream, keys).open().act(3).checkpoint().act(3).checkpoint(rotated)
    const verifiers = [keys.verifier, rotated.verifier]
    const report = await verifySource(sourceOf('ndjson', toNdjson(writer.lines)), { verifiers })
    assert.equal(report.verdict, 'INTACT')
  })

  it('that are missing leave everything UNANCHORED, and damage still shows', async () => {
    const whole = await verifySource(sourceOf('ndjson', toNdjson(trail)), { verifiers: [] })
    assert.deepEqual([named(whole), whole.exitCode], [['UNANCHORED'], 1])
    const allowed = await verifySource(sourceOf('ndjson', toNdjson(trail)), { verifiers: [], allowUnanchored: true })
    assert.deepEqual([named(allowed), allowed.exitCode, allowed.verdict], [[], 0, 'UNANCHORED'])
    const relinked = toNdjson(rechain(replaced(25, edited(25, otherActor))))
    const damaged = await verifySource(sourceOf('ndjson', relinked), { verifiers: [], allowUnanchored: true })
    assert.deepEqual(named(damaged), ['CONTENT_TAMPERED 18-59'])
  })

  it('cannot be replaced by a frontier of the forger: it must fold to the signed root', async () => {
    const writer = new TrailWriter(stream, keys).open().act(3)
    const details = checkpointDetailsOf(writer.lines)
    writer.sealCheckpoint({ ...details, frontier: details.frontier.map(() => Buffer.alloc(32).toString('base64')) })
    assert.deepEqual(named(await check('ndjson', toNdjson(writer.lines))), ['BAD_SIGNATURE 5'])
  })
})

function checkpointDetailsOf(lines: readonly string[]) {
  const frontier = new Frontier()
  for (const text of lines) frontier.append(leafOf(text))
  return checkpointDetails(frontier, `prod/${stream}`, keys.signer)
}

describe('damage that is no record any more', () => {
  it('behind the last record is named as the next sequence', async () => {
    const copy = `${toNdjson(trail.slice(0, 59))}{"action":garbage}\n`
    assert.deepEqual(named(await check('ndjson', copy)), ['CONTENT_TAMPERED 60'])
  })

  it('at a cut-off end is unreadable, not tampered', async () => {
    const copy = toNdjson(trail).slice(0, -40)
    const report = await check('ndjson', copy)
    assert.deepEqual([named(report), report.exitCode, report.verdict], [[], 2, 'UNREADABLE'])
    assert.deepEqual(report.unreadable, [{ where: 'line 60', reason: 'the last line is cut off' }])
  })

  it('at a cut-off end does not hide a finding', async () => {
    const report = await check('ndjson', toNdjson(without(25)).slice(0, -40))
    assert.deepEqual([named(report), report.exitCode], [['MISSING 25'], 1])
  })

  it('as an empty line is INSERTED', async () => {
    assert.deepEqual(named(await check('ndjson', toNdjson(inserted(25, '')))), ['INSERTED'])
  })

  it('as a line without end costs no memory and is one finding', async () => {
    const long = 'x'.repeat(2 ** 21)
    assert.deepEqual(named(await check('ndjson', toNdjson(replaced(25, long)))), ['CONTENT_TAMPERED 25'])
  })

  it('alone is no records, exit 2', async () => {
    for (const garbage of ['\0\x01\xff\n\n\x80', '{}\n', 'null\n', '[]\n', '{"seq":1}\n']) {
      const report = await check('ndjson', Buffer.from(garbage, 'latin1'))
      assert.deepEqual([report.exitCode, report.records], [2, 0], garbage)
    }
  })
})

describe('a body cut in two by a newline', () => {
  it('is named although no attribute says any more which record it was', async () => {
    const copy = toOtlp(trail).replace('Ünïcode \\\\\\"quoted\\\\\\" 25', 'Ünï\ncode')
    assert.notEqual(copy, toOtlp(trail))
    assert.deepEqual(named(await check('otlp', copy)), ['CONTENT_TAMPERED 25'])
  })
})

describe('hostile numbers', () => {
  it('far beyond the end open one hole and cost nothing', async () => {
    const report = await check('ndjson', toNdjson([...trail, edited(60, () => ({ seq: Number.MAX_SAFE_INTEGER }))]))
    assert.deepEqual(named(report), [`MISSING 61-${Number.MAX_SAFE_INTEGER - 1}`])
  })

  it('that are no sequence are no record', async () => {
    for (const seq of [0, -1, 1.5, '25', null, 2 ** 60])
      assert.deepEqual(
        named(
          await check(
            'ndjson',
            toNdjson(
              replaced(
                25,
                edited(25, () => ({ seq })),
              ),
            ),
          ),
        ),
        ['CONTENT_TAMPERED 25'],
      )
  })
})

describe('clocks', () => {
  it('that step back are an observation', async () => {
    const writer = new TrailWriter(stream, keys)
      .open()
      .act(3)
      .seal({ recorded: '2020-01-01T00:00:00.000000000Z' })
      .act(2)
      .close()
    const report = await check('ndjson', toNdjson(writer.lines))
    assert.deepEqual([named(report), report.verdict, report.exitCode], [[], 'CLOCK_ANOMALY', 0])
  })
})

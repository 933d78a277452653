/**
 * The tamper matrix: every attack on every kind of copy, with exactly the findings it must give, and the attacks
 * that a copy alone cannot show. The trail: 1 opened, 2–17 acts, 18 checkpoint, 19–34 acts, 35 checkpoint,
 * 36–51 acts, 52 checkpoint, 53–58 acts, 59 closed, 60 checkpoint.
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
const otherStream = '019b7c2f-2222-7000-8000-000000000002'
const trail = makeTrail({ stream, keys, records: 54, interval: 16 }).lines

type Kind = 'ndjson' | 'otlp'
const writers = { ndjson: toNdjson, otlp: (lines: readonly string[]) => toOtlp(lines) }

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
const moved = (from: number, to: number): string[] => without(from).toSpliced(to - 1, 0, line(from))

interface Attack {
  readonly name: string
  readonly lines: readonly string[]
  /** Findings in both kinds of copy, or in each. */
  readonly finds: readonly string[] | Readonly<Record<Kind, readonly string[]>>
  /** Verdict when there is no finding. */
  readonly verdict?: string
  readonly allowPartial?: boolean
}

const fork = new TrailWriter(stream, keys)
for (const text of trail.slice(0, 40)) fork.seal(JSON.parse(text))
const forked = fork.seal({ action: 'other.act' }).act(5).lines.slice(40)
const twin = new TrailWriter(stream, keys)
for (const text of trail.slice(0, 40)) twin.seal(JSON.parse(text))
const twinned = twin.seal({ action: 'other.act' }).act(10).checkpoint().lines.slice(40)
const usurper = new TrailWriter(otherStream, keys)
  .open({ predecessor: { stream, seq: 60, hash: 'ab'.repeat(32), reason: 'boot' } })
  .act(3)
  .close().lines
const stranger = makeTrail({ stream: otherStream, keys, records: 20, interval: 8 }).lines
const successor = new TrailWriter(otherStream, keys)
  .open({ predecessor: { stream, seq: 60, hash: leafOf(line(60)), reason: 'boot' } })
  .act(3)
  .close().lines
/** What follows a branch that a destination has refused, and says what that one held. */
const ahead = (sequence: number, hash = leafOf(line(sequence))) =>
  new TrailWriter(otherStream, keys)
    .open({
      predecessor: { stream, seq: 40, hash: 'ab'.repeat(32), reason: 'ahead' },
      ahead: { destination: 'postgres', seq: sequence, hash },
    })
    .act(3)
    .close().lines
const impostor = makeKeys('prod', 2)
const resigned = makeTrail({ stream, keys: impostor, records: 54, interval: 16 }).lines
const renamed = (lines: readonly string[], name: string): string[] =>
  rechain(lines.map((text) => canonical({ ...JSON.parse(text), stream: name })))

const attacks: readonly Attack[] = [
  { name: 'nothing', lines: trail, finds: [], verdict: 'INTACT' },
  { name: 'a record edited', lines: replaced(25, edited(25, otherActor)), finds: ['CONTENT_TAMPERED 25'] },
  { name: 'the first record edited', lines: replaced(1, edited(1, otherActor)), finds: ['CONTENT_TAMPERED 1'] },
  {
    name: 'a checkpoint record edited',
    lines: replaced(
      35,
      edited(35, () => ({ reason: 'x' })),
    ),
    finds: ['CONTENT_TAMPERED 35'],
  },
  {
    name: 'the last covered record edited',
    lines: replaced(59, edited(59, otherActor)),
    finds: ['CONTENT_TAMPERED 59'],
  },
  {
    name: 'a link edited',
    lines: replaced(
      25,
      edited(25, () => ({ prev: 'ab'.repeat(32) })),
    ),
    finds: ['CONTENT_TAMPERED 25'],
  },
  {
    name: 'a link taken away',
    lines: replaced(
      25,
      edited(25, () => ({ prev: undefined })),
    ),
    finds: ['CONTENT_TAMPERED 25'],
  },
  {
    name: 'the link of the uncovered checkpoint edited',
    lines: replaced(
      60,
      edited(60, () => ({ prev: 'ab'.repeat(32) })),
    ),
    finds: ['LINK_BROKEN 60'],
  },
  {
    name: 'two neighbours edited',
    lines: replaced(25, edited(25, otherActor)).with(25, edited(26, otherActor)),
    finds: ['CONTENT_TAMPERED 25', 'CONTENT_TAMPERED 26'],
  },
  {
    name: 'a record edited and the next one linked to it',
    lines: replaced(25, edited(25, otherActor)).with(
      25,
      edited(26, () => ({ prev: leafOf(edited(25, otherActor)) })),
    ),
    finds: ['CONTENT_TAMPERED 26', 'CONTENT_TAMPERED 18-34'],
  },
  { name: 'a record deleted', lines: without(25), finds: ['MISSING 25'] },
  { name: 'a checkpoint deleted', lines: without(35), finds: ['MISSING 35'] },
  { name: 'several records deleted', lines: without(25, 27), finds: ['MISSING 25-27'] },
  { name: 'records deleted around a checkpoint', lines: without(33, 37), finds: ['MISSING 33-37'] },
  { name: 'the first record deleted', lines: without(1), finds: ['MISSING 1'] },
  { name: 'the beginning deleted', lines: without(1, 20), finds: ['MISSING 1-20'] },
  { name: 'the last covered record deleted', lines: without(59), finds: ['MISSING 59'] },
  {
    name: 'two records swapped',
    lines: trail.with(24, line(26)).with(25, line(25)),
    finds: { ndjson: ['REORDERED 25'], otlp: [] },
    verdict: 'INTACT',
  },
  {
    name: 'a record moved to the end',
    lines: moved(10, 60),
    finds: { ndjson: ['REORDERED 10'], otlp: [] },
    verdict: 'INTACT',
  },
  {
    name: 'a record moved to the beginning',
    lines: moved(50, 1),
    finds: { ndjson: ['REORDERED 50'], otlp: [] },
    verdict: 'INTACT',
  },
  { name: 'a record delivered again', lines: [...trail, line(25)], finds: [], verdict: 'DUPLICATE_DELIVERY' },
  {
    name: 'a batch delivered again',
    lines: [...trail.slice(0, 40), ...trail.slice(30, 40), ...trail.slice(40)],
    finds: [],
    verdict: 'DUPLICATE_DELIVERY',
  },
  { name: 'a record copied to the beginning', lines: inserted(1, line(25)), finds: [], verdict: 'DUPLICATE_DELIVERY' },
  {
    name: 'a forged record with a number and no fitting link',
    lines: inserted(
      26,
      edited(25, () => ({ prev: 'ab'.repeat(32) })),
    ),
    finds: ['INSERTED 25'],
  },
  {
    name: 'a forged record before the true one',
    lines: inserted(
      25,
      edited(25, () => ({ prev: 'ab'.repeat(32) })),
    ),
    finds: ['INSERTED 25'],
  },
  {
    name: 'a forged record that continues the stream',
    lines: inserted(26, edited(25, otherActor)),
    finds: ['FORKED 25'],
  },
  { name: 'a second branch', lines: [...trail, ...forked], finds: ['FORKED 41-46'] },
  {
    name: 'a second branch, signed with the same key',
    lines: [...trail, ...twinned],
    finds: ['FORKED 41-52', 'FORKED 51'],
  },
  {
    name: 'a stream that continues another from a record that is not there',
    lines: [...trail, ...usurper],
    finds: ['FORKED 60'],
  },
  {
    name: 'a record without a stream',
    lines: inserted(26, '{"action":"x"}'),
    finds: { ndjson: ['INSERTED'], otlp: ['INSERTED'] },
  },
  {
    name: 'all linked anew after an edit, without the key',
    lines: rechain(replaced(25, edited(25, otherActor))),
    finds: ['CONTENT_TAMPERED 18-59'],
  },
  {
    name: 'one deleted and all linked anew, without the key',
    lines: rechain(without(25)),
    finds: ['CONTENT_TAMPERED 18-59'],
  },
  { name: 'all signed anew with a key of the same name', lines: resigned, finds: ['BAD_SIGNATURE 18-60'] },
  {
    name: 'two streams with their names exchanged',
    lines: [...renamed(trail, otherStream), ...renamed(stranger, stream)],
    finds: ['WRONG_ORIGIN 18-60', 'WRONG_ORIGIN 10-25'],
  },
  { name: 'a stream deleted that another continues', lines: successor, finds: ['STREAM_MISSING'] },
  {
    name: 'the end cut off of a stream that another continues',
    lines: [...trail.slice(0, 50), ...successor],
    finds: ['TRUNCATED 51-60'],
  },
  { name: 'two streams that follow one another', lines: [...trail, ...successor], finds: [], verdict: 'INTACT' },
  {
    name: 'a stream behind another branch, whose writer saw this one',
    lines: [...trail, ...ahead(60)],
    finds: [],
    verdict: 'INTACT',
  },
  {
    name: 'a stream behind another branch, whose writer saw more than is here',
    lines: [...trail.slice(0, 50), ...ahead(60)],
    finds: ['TRUNCATED 51-60'],
  },
  {
    name: 'a stream behind another branch, whose writer saw a third one',
    lines: [...trail, ...ahead(60, 'cd'.repeat(32))],
    finds: ['FORKED 60'],
  },
  { name: 'a replayed checkpoint', lines: [...trail, ...replay()], finds: [], verdict: 'OPEN_TAIL' },
  {
    name: 'a copy that begins later, known to be partial',
    lines: without(1, 20),
    finds: [],
    verdict: 'INTACT',
    allowPartial: true,
  },
  {
    name: 'a partial copy edited before its first checkpoint',
    lines: without(1, 20).with(4, edited(25, otherActor)),
    finds: ['CONTENT_TAMPERED 25'],
    allowPartial: true,
  },
  {
    name: 'a partial copy edited between its checkpoints',
    lines: without(1, 20).with(20, edited(41, otherActor)),
    finds: ['CONTENT_TAMPERED 41'],
    allowPartial: true,
  },
  { name: 'a partial copy with one checkpoint', lines: without(1, 52), finds: ['UNANCHORED'], allowPartial: true },
  // Not detectable in a copy alone:
  { name: 'the end cut off above a checkpoint', lines: trail.slice(0, 58), finds: [], verdict: 'OPEN_TAIL' },
  { name: 'a copy rolled back to an earlier state', lines: trail.slice(0, 35), finds: [], verdict: 'INTACT' },
  { name: 'a stream deleted that no other names', lines: stranger, finds: [], verdict: 'INTACT' },
]

function replay(): string[] {
  const writer = new TrailWriter(stream, keys)
  for (const text of trail) writer.seal(JSON.parse(text))
  return writer.sealCheckpoint(JSON.parse(line(35)).details).lines.slice(60)
}

for (const kind of ['ndjson', 'otlp'] as const) {
  describe(`in ${kind}`, () => {
    for (const { name, lines, finds, verdict, allowPartial = false } of attacks) {
      const expected = 'ndjson' in finds ? finds[kind] : finds
      it(`${name}: ${expected.join(', ') || verdict}`, async () => {
        const report = await check(kind, writers[kind](lines), { allowPartial })
        assert.deepEqual(named(report).sort(), [...expected].sort(), JSON.stringify(report.findings, null, 1))
        if (expected.length === 0 && verdict !== undefined) assert.equal(report.verdict, verdict)
        assert.equal(report.exitCode, expected.length > 0 ? 1 : 0)
      })
    }
  })
}

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

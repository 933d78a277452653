/**
 * Row 4: every bit, every length, every segment of a small spool. What is damaged is refused with `SPOOL_CORRUPT`, or
 * changes nothing that anyone would read. One exception, which SPOOL.md states and the table counts: behind the last
 * surviving proof of an unclean end, damage looks like an append that was cut off, and is reported as torn.
 */

import assert from 'node:assert/strict'
import { leafHash } from '../../src/chain/hash.ts'
import { Frontier } from '../../src/chain/merkle.ts'
import { AuditError } from '../../src/errors.ts'
import { createAudit } from '../../src/index.ts'
import { durableEnd, readPresentControl } from '../../src/spool/control.ts'
import { readCursor } from '../../src/spool/cursor.ts'
import { segmentNumber } from '../../src/spool/format.ts'
import { rebuildFrontier } from '../../src/spool/frontier.ts'
import { SpoolReader } from '../../src/spool/reader.ts'
import { recoverSpool } from '../../src/spool/recover.ts'
import type { FaultTest, Observed, Size } from './fault.ts'
import type { Lab } from './lab.ts'
import { MemoryFiles } from './memory-files.ts'
import { recordsOf } from './trail.ts'

const directory = '/spool'
const openings = 3

/** A spool as it was found, and what a reader gets of it. */
interface Sample {
  readonly kind: 'closed' | 'killed'
  readonly files: MemoryFiles
  readonly records: readonly string[]
  /** How many of them were known to be durable when the process ended. */
  readonly proven: number
  readonly confirmed: number
}

type Verdict = 'identical' | 'refused' | 'torn'

/** A spool of several segments, once closed and once as a kill leaves it: with a tail that is not yet durable. */
async function makeSamples(lab: Lab): Promise<Sample[]> {
  const spool = lab.path('spool')
  const open = () =>
    createAudit({
      service: 'fault',
      policy: { level: 'all' },
      spool: { directory: spool },
      keys: { signingKeyFile: lab.path('audit.key') },
      destinations: [{ type: 'file', path: lab.path('trail.ndjson') }],
    })
  for (let opening = 1; opening < openings; opening += 1) {
    const audit = open()
    for (let at = 0; at < 3; at += 1) audit.emit({ action: `fault.${opening}.${at}`, operation: 'create' })
    await audit.close()
  }
  const closed = sampleOf('closed', MemoryFiles.load(spool))
  const audit = open()
  await audit.emit({ action: 'fault.durable', operation: 'create' }).durable
  for (let attempt = 0; ; attempt += 1) {
    for (let at = 0; at < 4; at += 1) audit.emit({ action: `fault.tail.${at}`, operation: 'create' })
    const killed = sampleOf('killed', MemoryFiles.load(spool))
    // The sync thread may have been faster than the copy.
    if (killed.records.length === killed.proven && attempt < 50) continue
    await audit.close()
    assert.ok(killed.records.length > killed.proven, 'it has a tail that is not durable')
    return [closed, killed]
  }
}

function sampleOf(kind: Sample['kind'], files: MemoryFiles): Sample {
  for (const name of files.list()) if (!/^(control|cursor-|seg-)/.test(name)) files.remove(name)
  const proven = recordsOf(readerOf(files)).length
  const { records } = reopen(files.copy())
  assert.ok(records.length >= proven)
  return { kind, files, records, proven, confirmed: confirmedIn(files) }
}

function readerOf(files: MemoryFiles): SpoolReader {
  const end = durableEnd(readPresentControl(files, directory))
  return new SpoolReader(files, directory, () => end)
}

/** Opens as the next start does, reads everything that is there, and has the tree rebuilt from it. */
function reopen(files: MemoryFiles): { records: string[]; tornBytes: number } {
  const { state, tornBytes } = recoverSpool(files, { directory, deployment: 'fault', bootId: 'another' })
  const records = recordsOf(new SpoolReader(files, directory, () => state.watermark))
  const tree = new Frontier()
  for (const { stream, bytes } of records) if (stream === state.stream) tree.append(leafHash(Buffer.from(bytes)))
  const rebuilt = rebuildFrontier(files, directory, state).frontier
  assert.deepEqual(rebuilt.hashes(), tree.hashes(), 'the tree is that of the records')
  return { records: records.map(({ bytes }) => bytes), tornBytes }
}

function confirmedIn(files: MemoryFiles): number {
  return files.list().includes('cursor-file') ? (readCursor(files, directory, 'file').confirmed?.sequence ?? 0) : 0
}

/** Throws unless the damage is refused, without effect, or a torn tail that nobody was promised. */
function judge(sample: Sample, files: MemoryFiles, what: string): Verdict {
  assert.ok(confirmedIn(files) <= sample.confirmed, `${what}: a cursor is never further than it was`)
  try {
    const { records, tornBytes } = reopen(files)
    if (records.length === sample.records.length) {
      assert.deepEqual(records, sample.records, `${what}: every record as it was`)
      return 'identical'
    }
    assert.deepEqual(records, sample.records.slice(0, records.length), `${what}: nothing but the end may be missing`)
    assert.ok(records.length >= sample.proven, `${what}: ${sample.proven - records.length} proven records are lost`)
    // A file cut exactly behind a frame says nothing; a changed one does.
    assert.ok(tornBytes > 0 || !what.startsWith('bit'), `${what}: records are lost without a word`)
    return 'torn'
  } catch (error) {
    if (error instanceof AuditError && error.code === 'SPOOL_CORRUPT') return 'refused'
    if (error instanceof AuditError && error.code === 'SPOOL_VERSION') return 'refused'
    throw new Error(`${sample.kind} spool, ${what}: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    })
  }
}

/** Applies one kind of damage everywhere and counts what came of it. */
function sweep(
  samples: readonly Sample[],
  damage: (sample: Sample, tell: (verdict: Verdict) => void) => void,
): Observed {
  const verdicts: Record<Verdict, number> = { identical: 0, refused: 0, torn: 0 }
  for (const sample of samples) damage(sample, (verdict) => (verdicts[verdict] += 1))
  const { identical, refused, torn } = verdicts
  const total = identical + refused + torn
  return {
    injected: { damages: total },
    survived: { 'refusals by name': refused, 'spools read as before': identical, 'torn ends reported': torn },
  }
}

function replaced(sample: Sample, name: string, change: (bytes: Buffer) => Buffer): MemoryFiles {
  const files = sample.files.copy()
  files.put(name, change(Buffer.from(sample.files.get(name))))
  return files
}

/** Every place of every file, or in the short form one of so many. */
function* places(sample: Sample, stride: number): Generator<{ name: string; at: number }> {
  for (const name of sample.files.list()) {
    for (let at = 0; at < sample.files.get(name).length; at += stride) yield { name, at }
  }
}

const strides: Readonly<Record<Size, number>> = { short: 97, long: 1 }

const bitflipAll: FaultTest = {
  name: 'bitflip-all',
  row: '4',
  promise: 'No flipped bit loses or changes a durable record unnoticed.',
  needs: [],
  limitSeconds: { short: 120, long: 3_600 },
  async run(lab, size) {
    const observed = sweep(await makeSamples(lab), (sample, tell) => {
      for (const { name, at } of places(sample, strides[size])) {
        for (let bit = 0; bit < 8; bit += size === 'short' ? 5 : 1) {
          const flip = (bytes: Buffer): Buffer => {
            bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
            return bytes
          }
          tell(judge(sample, replaced(sample, name, flip), `bit ${bit} of byte ${at} in ${name}`))
        }
      }
    })
    return { ...observed, injected: { 'bits flipped': observed.injected.damages ?? 0 } }
  },
}

/** The rest of every file, from each of its places on, damaged in one way. */
function fromEveryPlace(
  name: string,
  promise: string,
  { counted, says, damage }: { counted: string; says: string; damage: (bytes: Buffer, at: number) => Buffer },
): FaultTest {
  return {
    name,
    row: '4',
    promise,
    needs: [],
    limitSeconds: { short: 120, long: 600 },
    async run(lab, size) {
      const observed = sweep(await makeSamples(lab), (sample, tell) => {
        for (const { name: file, at } of places(sample, strides[size])) {
          const files = replaced(sample, file, (bytes) => damage(bytes, at))
          tell(judge(sample, files, `${file} ${says} ${at}`))
        }
      })
      return { ...observed, injected: { [counted]: observed.injected.damages ?? 0 } }
    },
  }
}

const truncateAll = fromEveryPlace('truncate-all', 'No file cut at any length loses a durable record unnoticed.', {
  counted: 'lengths cut',
  says: 'cut at',
  damage: (bytes, at) => bytes.subarray(0, at),
})

const zeroFromAll = fromEveryPlace(
  'zero-from-all',
  'No file that holds zeros from any place on loses a durable record unnoticed.',
  { counted: 'ends zeroed', says: 'zeros from', damage: (bytes, at) => bytes.fill(0, at) },
)

const deleteSegment: FaultTest = {
  name: 'delete-segment',
  row: '4',
  promise: 'A missing segment or control file stops the next start, by name.',
  needs: [],
  limitSeconds: { short: 120, long: 300 },
  async run(lab) {
    const observed = sweep(await makeSamples(lab), (sample, tell) => {
      for (const name of sample.files.list()) {
        if (segmentNumber(name) === undefined && name !== 'control') continue
        const files = sample.files.copy()
        files.remove(name)
        tell(judge(sample, files, `${name} deleted`))
      }
      const bare = sample.files.copy()
      for (const name of bare.list()) if (segmentNumber(name) !== undefined) bare.remove(name)
      tell(judge(sample, bare, 'every segment deleted'))
    })
    assert.equal(observed.survived['torn ends reported'], 0, 'a missing file is never a torn end')
    return { ...observed, injected: { 'files deleted': observed.injected.damages ?? 0 } }
  },
}

const slotBytes = 4_096

const controlTorn: FaultTest = {
  name: 'control-torn',
  row: '16',
  promise:
    'One damaged slot of control is made up for by the other; both damaged stop the next start, with instructions.',
  needs: [],
  limitSeconds: { short: 120, long: 300 },
  async run(lab) {
    const counts = { one: 0, both: 0 }
    for (const sample of await makeSamples(lab)) {
      const slots = [0, 1].filter((slot) =>
        sample.files
          .get('control')
          .subarray(slot * slotBytes)
          .some((byte, at) => at < slotBytes && byte !== 0),
      )
      for (const slot of slots) {
        const files = replaced(sample, 'control', (bytes) =>
          bytes.fill(0x5a, slot * slotBytes + 24, slot * slotBytes + 600),
        )
        judgeSlot(sample, files, slots.length === 1)
        counts.one += 1
      }
      const ruined = replaced(sample, 'control', (bytes) => bytes.fill(0x5a, 24, 2 * slotBytes))
      judgeSlot(sample, ruined, true)
      counts.both += 1
    }
    return {
      injected: { 'slots damaged alone': counts.one, 'pairs of slots damaged': counts.both },
      survived: { 'refusals with instructions': counts.both },
    }
  },
}

/** With the older slot, everything proven is still there; with none, the refusal says what to do. */
function judgeSlot(sample: Sample, files: MemoryFiles, isFatal: boolean): void {
  if (!isFatal) {
    assert.notEqual(judge(sample, files, 'one slot damaged'), 'torn')
    return
  }
  assert.throws(
    () => recoverSpool(files, { directory, deployment: 'fault', bootId: 'another' }),
    (error: unknown) => error instanceof AuditError && error.code === 'SPOOL_CORRUPT' && error.hint.length > 20,
  )
}

export const damageTests: readonly FaultTest[] = [bitflipAll, truncateAll, zeroFromAll, deleteSegment, controlTorn]

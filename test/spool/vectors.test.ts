/**
 * The frozen spools under test/vectors/spool, made by a program that shares nothing with ours: what must be read is
 * read exactly, what must be refused is refused by its code and its words. Nothing here writes; a spool that is no
 * longer read so means that the format was broken.
 */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { AuditError } from '../../src/errors.ts'
import { durableEnd, readPresentControl } from '../../src/spool/control.ts'
import { CursorFile, readCursor } from '../../src/spool/cursor.ts'
import { diskFiles } from '../../src/spool/files.ts'
import { segmentHeaderBytes } from '../../src/spool/format.ts'
import { SpoolReader } from '../../src/spool/reader.ts'
import { inspectSpool } from '../../src/spool/recover.ts'
import { FrameReader, readPath } from '../../src/spool/segment.ts'
import { viewSpool } from '../../src/spool/view.ts'
import { root } from '../docs/markdown.ts'
import { copyOf } from './harness.ts'

const folder = join(root, 'test/vectors/spool')

interface Refusal {
  readonly error: string
  readonly says: string
}

/** One spool of expected.json. Its whole records, in order, stand in expected/NAME.ndjson. */
interface Expected {
  readonly about: string
  readonly durable: { readonly segment: number; readonly offset: number; readonly nextSequence: number }
  /** Everything refuses so; nothing below is stated then. */
  readonly refusal?: Refusal
  /** How many of the records a reader gives: those below the durable position, up to damage. */
  readonly readable: number
  /** How a reader then ends, when not quietly. */
  readonly reader?: Refusal
  /** What the next start would carry over and cut off, or why it refuses. */
  readonly inspect: { readonly carried: number; readonly tornBytes: number } | Refusal
  /** Sequences of the frames whose header is valid and whose body is damaged. */
  readonly damaged?: readonly number[]
  /** What stands beside records, by sequence. */
  readonly attachments?: Readonly<Record<string, string>>
  readonly cursors?: Readonly<Record<string, Readonly<Record<string, unknown>> | Refusal>>
}

const vectors = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as Record<string, Expected>

/** What the vectors' control says of boot and deployment, so that neither is a reason for a new stream. */
const context = { deployment: 'prod', bootId: '7f0f9dd0-2c1f-4c0e-9d6f-0a3c5d1e2b48' }

for (const [name, expected] of Object.entries(vectors)) {
  const directory = join(folder, 'spools', name)
  const text = readFileSync(join(folder, 'expected', `${name}.ndjson`), 'utf8')
  const records = text.split('\n').slice(0, -1)
  const { refusal } = expected

  describe(name, () => {
    if (refusal !== undefined) {
      it('is refused by name, whoever opens it', () => {
        assertRefuses(() => readDurable(directory), refusal)
        assertRefuses(() => inspectSpool(diskFiles, { directory, ...context }), refusal)
        assertRefuses(() => viewSpool(diskFiles, directory), refusal)
      })
      return
    }

    it('gives a reader exactly what is durable, up to damage', () => {
      const read: string[] = []
      const readAll = () => readDurable(directory, read)
      if (expected.reader === undefined) readAll()
      else assertRefuses(readAll, expected.reader)
      assert.deepEqual(read, records.slice(0, expected.readable))
    })

    it('is whole, torn or corrupt for the next start', () => {
      const { inspect } = expected
      const look = () => inspectSpool(diskFiles, { directory, ...context })
      if ('error' in inspect) return assertRefuses(look, inspect)
      const tail = look()?.tail
      assert.deepEqual({ carried: tail?.records.length, tornBytes: tail?.tornBytes }, inspect)
    })

    it('shows a verifier every whole record and names the damaged ones', () => {
      const view = viewSpool(diskFiles, directory)
      const { segment, offset, nextSequence } = view.durable
      assert.deepEqual({ segment, offset, nextSequence }, expected.durable)
      const seen = [...view.records()]
      const whole = seen.filter((one) => !one.damaged)
      assert.deepEqual(
        whole.map((one) => one.bytes.toString()),
        records,
      )
      assert.deepEqual(
        seen.filter((one) => one.damaged).map((one) => one.sequence),
        expected.damaged ?? [],
      )
      for (const one of whole) {
        const { stream, seq } = JSON.parse(one.bytes.toString())
        assert.deepEqual([one.stream, one.sequence], [stream, seq])
      }
    })

    if (expected.attachments !== undefined) {
      it('holds what travels beside the records', () => {
        assert.deepEqual(attachmentsIn(directory), expected.attachments)
      })
    }

    for (const [destination, cursor] of Object.entries(expected.cursors ?? {})) {
      it(`holds the cursor of ${destination}`, (t) => {
        const opened = () => new CursorFile(diskFiles, copyOf(t, directory), destination)
        const read = () => readCursor(diskFiles, directory, destination)
        if (isRefusal(cursor)) {
          assertRefuses(opened, cursor)
          assertRefuses(read, cursor)
        } else {
          assert.deepEqual(read(), cursor)
          const file = opened()
          assert.deepEqual(file.cursor, cursor)
          file.close()
        }
      })
    }
  })
}

/** Adds the text of each durable record to `read`, so that those before a refusal are known. */
function readDurable(directory: string, read: string[] = []): void {
  const end = durableEnd(readPresentControl(diskFiles, directory))
  const reader = new SpoolReader(diskFiles, directory, () => end)
  try {
    for (let found = reader.next({ records: 1, bytes: 1 }); found.length > 0; ) {
      for (const { bytes } of found) read.push(bytes.toString())
      found = reader.next({ records: 1, bytes: 1 })
    }
  } finally {
    reader.close()
  }
}

function attachmentsIn(directory: string): Record<string, string> {
  const file = diskFiles.open(join(directory, 'seg-00000001.wal'), 'read')
  try {
    const [one] = readPath(diskFiles, directory, { first: 1, last: 1 })
    assert.ok(one !== undefined)
    const start = { offset: segmentHeaderBytes, frameNumber: 0, frameCrc: one.crc }
    const frames = new FrameReader(diskFiles, { file, salt: one.header.salt }, start)
    const attachments: Record<string, string> = {}
    for (let frame = frames.next(); frame !== undefined; frame = frames.next())
      if (frame.attachment.length > 0) attachments[frame.sequence] = frame.attachment.toString()
    return attachments
  } finally {
    diskFiles.close(file)
  }
}

function isRefusal(expected: object): expected is Refusal {
  return 'error' in expected
}

function assertRefuses(act: () => unknown, { error: code, says }: Refusal): void {
  assert.throws(act, (error) => {
    assert.ok(error instanceof AuditError, String(error))
    assert.equal(error.code, code, error.message)
    assert.ok(error.message.includes(says), error.message)
    return true
  })
}

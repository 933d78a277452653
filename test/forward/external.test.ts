/** What is known of delivery by another process: its cursors, and nothing that they do not say. */

import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { leafHash } from '../../src/chain/hash.ts'
import { ExternalView } from '../../src/forward/external.ts'
import { QuarantineFolder } from '../../src/forward/quarantine-folder.ts'
import { durableEnd, readPresentControl } from '../../src/spool/control.ts'
import { CursorFile, type RecordNumber } from '../../src/spool/cursor.ts'
import { diskFiles } from '../../src/spool/files.ts'
import { readFlushRequest, requestFlush } from '../../src/spool/flush-request.ts'
import { type ViewedRecord, viewSpool } from '../../src/spool/view.ts'
import { freshFolder, openAudit } from '../audit/opened.ts'

interface Closed {
  readonly directory: string
  readonly records: readonly ViewedRecord[]
  readonly view: ExternalView
  confirm(record: RecordNumber): void
}

/** A spool with two streams that nobody delivers. */
async function twoStreams(t: TestContext): Promise<Closed> {
  const folder = freshFolder(t)
  for (const deployment of ['one', 'two']) {
    const destinations = [{ type: 'stdout', name: 'sink' }] as const
    const audit = openAudit(folder, { deployment, destinations, delivery: 'external', closeTimeoutMs: 0 })
    audit.emit({ action: 'app.test' })
    await audit.close()
  }
  const directory = join(folder, 'spool')
  const durable = () => durableEnd(readPresentControl(diskFiles, directory))
  return {
    directory,
    records: [...viewSpool(diskFiles, directory).records()],
    view: new ExternalView(diskFiles, { directory, durable }, ['sink']),
    confirm({ stream, sequence }) {
      const cursor = new CursorFile(diskFiles, directory, 'sink')
      cursor.save({ confirmed: { stream, sequence } })
      cursor.close()
    },
  }
}

function sealed({ stream, sequence, bytes }: ViewedRecord) {
  return { stream, sequence, hash: leafHash(bytes) }
}

/** How a wait that has no reason to end is: it must not resolve before it is told to. */
async function outcome(view: ExternalView, record: ViewedRecord | undefined): Promise<string> {
  const only = record === undefined ? undefined : { name: 'sink', record: sealed(record) }
  return view.flush(only, AbortSignal.timeout(300))
}

test('a record counts as confirmed by a cursor at or behind it, and by one in a later stream', async (t) => {
  const { view, records, confirm } = await twoStreams(t)
  const [first] = records
  const early = records.filter(({ stream }) => stream === first?.stream)
  const late = records.filter(({ stream }) => stream !== first?.stream)
  const [one, two] = [early[1], late[1]]
  assert.ok(one !== undefined && two !== undefined && first !== undefined && late[0] !== undefined)
  const rows: readonly [RecordNumber | undefined, ViewedRecord, string][] = [
    [undefined, one, 'stopped'],
    [first, one, 'stopped'],
    [one, one, 'confirmed'],
    [one, first, 'confirmed'],
    [early.at(-1), two, 'stopped'],
    [late[0], one, 'confirmed'],
    [late[0], two, 'stopped'],
    [two, two, 'confirmed'],
    [{ stream: 'another', sequence: 9 }, one, 'stopped'],
  ]
  for (const [confirmed, record, expected] of rows) {
    if (confirmed !== undefined) confirm(confirmed)
    assert.equal(await outcome(view, record), expected, `${JSON.stringify(confirmed)} for ${record.sequence}`)
  }
  assert.equal(await outcome(view, undefined), 'stopped', 'all that is durable is meant')
  confirm(late.at(-1) ?? two)
  assert.equal(await outcome(view, undefined), 'confirmed')
  const [state] = view.states()
  assert.deepEqual([state?.condition, state?.backlog, state?.confirmed?.sequence], ['elsewhere', 0, late.length])
})

test('a record that was set aside is told as that', async (t) => {
  const { view, records, directory, confirm } = await twoStreams(t)
  const record = records.at(-1)
  assert.ok(record !== undefined)
  const folder = new QuarantineFolder(diskFiles, directory, { kind: 'forked', name: 'sink' })
  folder.keep({ kind: 'forked', records: [record], reason: 'test' })
  confirm(record)
  assert.equal(await outcome(view, record), 'quarantined')
  assert.equal(await outcome(view, records.at(-2)), 'confirmed')
})

test('whoever waits asks for speed, each time by another word, and a torn word is only another one', async (t) => {
  const { view, directory, confirm, records } = await twoStreams(t)
  const last = records.at(-1)
  assert.ok(last !== undefined)
  confirm(last)
  rmSync(join(directory, 'flush')) // of the close
  assert.equal(await outcome(view, last), 'confirmed')
  assert.equal(existsSync(join(directory, 'flush')), false, 'nobody has to be asked for what is there')
  assert.equal(readFlushRequest(diskFiles, directory), undefined)
  requestFlush(diskFiles, directory)
  const first = readFlushRequest(diskFiles, directory)
  assert.match(first ?? '', /^[0-9a-f-]{36}\n$/)
  requestFlush(diskFiles, directory)
  assert.notEqual(readFlushRequest(diskFiles, directory), first)
  assert.equal(readFileSync(join(directory, 'flush')).length, 37)
  requestFlush(diskFiles, join(directory, 'gone')) // the wish is lost, and nothing else
  assert.equal(readFlushRequest(diskFiles, join(directory, 'gone')), undefined)
})

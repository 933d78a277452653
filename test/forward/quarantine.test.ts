import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { leafHash } from '../../src/chain/hash.ts'
import type { StoredRecord } from '../../src/event/record.ts'
import {
  type DeliveryFact,
  findForks,
  type Quarantine,
  type QuarantineFact,
  type QuarantineKeepers,
  SealedQuarantine,
} from '../../src/forward/quarantine.ts'
import { type FolderOwner, QuarantineFolder, readHeld } from '../../src/forward/quarantine-folder.ts'
import { diskFiles, type Files } from '../../src/spool/files.ts'
import { isForked, setAsideFolder } from '../../src/spool/set-aside.ts'
import { chainOf } from '../support/record-chain.ts'

const stream = '0190f5a0-0000-7000-8000-000000000001'
const other = '0190f5a0-0000-7000-8000-000000000002'
const never = new AbortController().signal
const kind = 'forked'

function forked(name: string): FolderOwner {
  return { kind, name }
}

function freshSpool(t: TestContext): string {
  const spool = mkdtempSync(join(tmpdir(), 'otel-audit-quarantine-'))
  t.after(() => rmSync(spool, { recursive: true, force: true }))
  return spool
}

function hashOf(record: StoredRecord | undefined): string {
  return leafHash(record?.bytes ?? '')
}

function linesIn(spool: string, name = 'db'): Record<string, unknown>[] {
  const folder = setAsideFolder(spool, 'forked', name)
  const files = readdirSync(folder).sort()
  return files
    .flatMap((file) => readFileSync(join(folder, file), 'utf8').trimEnd().split('\n'))
    .map((line) => JSON.parse(line))
}

/** A quarantine that keeps forked records in this folder, and never gets poison. */
function keepersOf(folder: QuarantineFolder): QuarantineKeepers {
  const poison = { follows: () => false, keep: () => assert.fail('poison'), owed: () => [] }
  return { forked: folder, poison }
}

const nothing: Quarantine = { follows: () => false, setAside: async () => undefined }

test('the first forked run of a batch is the forked record and what follows it in its stream', () => {
  const records = [
    ...chainOf(2, { stream: other }),
    ...chainOf(3, { stream, from: 5 }),
    ...chainOf(2, { stream: other, from: 3 }),
  ]
  const held = { sequence: 5, hash: 'ab' }
  const refusal = { status: 'rejected', reason: 'fork', forked: { index: 2, held } } as const
  assert.deepEqual(findForks(records, refusal, nothing), {
    from: 2,
    run: { records: records.slice(2, 5), held, reason: 'fork', kind },
  })
  assert.equal(findForks(records, { status: 'rejected', reason: 'HTTP 400' }, nothing), undefined)
})

test('a refused batch that begins with a record behind one in quarantine is forked, whatever the reason', () => {
  const records = [...chainOf(3, { stream, from: 5 }), ...chainOf(1, { stream: other })]
  const behind: Quarantine = { ...nothing, follows: (record) => record === records[0] }
  const found = findForks(records, { status: 'rejected', reason: 'gap' }, behind)
  assert.deepEqual(found, { from: 0, run: { records: records.slice(0, 3), held: undefined, reason: 'gap', kind } })
})

test('records are kept verbatim with their numbers and hashes, in a file that its name describes', (t) => {
  const spool = freshSpool(t)
  const records = chainOf(3, { stream, from: 5, members: () => ({ note: 'ü "quoted" \\ \u2028' }) })
  const folder = new QuarantineFolder(diskFiles, spool, forked('db'))
  folder.keep({ records, held: { sequence: 5, hash: 'cd'.repeat(32) }, reason: 'fork, it is held', kind })
  assert.deepEqual(readdirSync(setAsideFolder(spool, 'forked', 'db')), [
    `${stream}-5-7-${hashOf(records[2])}.unsealed.ndjson`,
  ])
  const lines = linesIn(spool)
  assert.deepEqual(
    lines.map(({ record }) => Buffer.from(String(record))),
    records.map(({ bytes }) => bytes),
  )
  assert.deepEqual(
    lines.map(({ destination, stream, seq, hash, held_seq, held_hash, reason }) => [
      destination,
      stream,
      seq,
      hash,
      held_seq,
      held_hash,
      reason,
    ]),
    records.map((record, at) => [
      'db',
      stream,
      5 + at,
      hashOf(record),
      ...(at === 0 ? [5, 'cd'.repeat(32)] : [undefined, undefined]),
      'fork, it is held',
    ]),
  )
})

test('what follows, what is held and what is owed is known again after a restart', (t) => {
  const spool = freshSpool(t)
  const records = chainOf(5, { stream })
  const [first, second, third, fourth, fifth] = records
  assert.ok(first && second && third && fourth && fifth)
  new QuarantineFolder(diskFiles, spool, forked('db')).keep({ records: [second, third], reason: 'fork', kind })
  const again = new QuarantineFolder(diskFiles, spool, forked('db'))
  assert.deepEqual(
    records.map((record) => again.follows(record)),
    [false, false, false, true, false],
  )
  const [stranger] = chainOf(1, { stream, from: 4, prev: 'ab'.repeat(32) })
  assert.ok(stranger)
  assert.equal(again.follows(stranger), false, 'the number alone does not make it follow')
  const held = records.map((record) => again.holds({ stream, sequence: record.sequence, hash: hashOf(record) }))
  assert.deepEqual(held, [false, true, true, false, false])
  assert.equal(again.holds({ stream, sequence: 2, hash: hashOf(third) }), true, 'in the file of its range')
  assert.equal(again.holds({ stream, sequence: 2, hash: hashOf(first) }), false)
  const details = {
    destination: 'db',
    stream,
    seq: 2,
    hash: hashOf(second),
    to: 3,
    to_hash: hashOf(third),
    reason: 'FORKED: fork',
  }
  assert.deepEqual(
    again.owed().map(({ fact }) => fact),
    [{ kind, type: 'audit.quarantined', stream, details }],
  )
  for (const owed of again.owed()) owed.settle()
  assert.deepEqual(again.owed(), [])
  assert.deepEqual(new QuarantineFolder(diskFiles, spool, forked('db')).owed(), [])
  assert.equal(new QuarantineFolder(diskFiles, spool, forked('db')).follows(fourth), true)
  assert.equal(new QuarantineFolder(diskFiles, spool, forked('another')).follows(fourth), false)
})

test('what lies there already is not put there twice, however it is cut into runs', (t) => {
  const spool = freshSpool(t)
  const records = chainOf(6, { stream })
  for (const [from, to] of [
    [0, 3],
    [0, 3],
    [1, 5],
    [0, 6],
  ] as const) {
    new QuarantineFolder(diskFiles, spool, forked('db')).keep({
      records: records.slice(from, to),
      reason: 'fork',
      kind,
    })
  }
  assert.deepEqual(
    linesIn(spool).map(({ seq }) => seq),
    [1, 2, 3, 4, 5, 6],
  )
})

test('a second branch with the same numbers is kept beside the first', (t) => {
  const spool = freshSpool(t)
  const folder = new QuarantineFolder(diskFiles, spool, forked('db'))
  folder.keep({ records: chainOf(2, { stream }), reason: 'fork', kind })
  folder.keep({ records: chainOf(2, { stream }), reason: 'fork', kind })
  assert.equal(linesIn(spool).length, 4)
})

test('what a crash left without its name is not read, and is written anew', (t) => {
  const spool = freshSpool(t)
  const records = chainOf(2, { stream })
  const folder = setAsideFolder(spool, 'forked', 'db')
  const torn = `${stream}-1-2-${hashOf(records[1])}.unsealed.ndjson.tmp`
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, torn), '{"destination":"d')
  const quarantine = new QuarantineFolder(diskFiles, spool, forked('db'))
  assert.deepEqual(quarantine.owed(), [])
  quarantine.keep({ records, reason: 'fork', kind })
  assert.equal(linesIn(spool).length, 2)
})

test('names of destinations stay within the quarantine', (t) => {
  const spool = freshSpool(t)
  for (const name of ['..', '.', '../../x', 'a/b', 'ü*']) {
    const folder = setAsideFolder(spool, 'forked', name)
    assert.equal(join(folder, '..'), join(spool, 'quarantine', 'forked'), name)
    new QuarantineFolder(diskFiles, spool, forked(name)).keep({ records: chainOf(1, { stream }), reason: 'fork', kind })
  }
  assert.equal(readdirSync(join(spool, 'quarantine', 'forked')).length, 5)
})

test('a stream is forked when a destination has refused records of it, and its successor can say what was held', (t) => {
  const spool = freshSpool(t)
  assert.equal(isForked(diskFiles, spool, stream), false)
  const [first, second] = chainOf(2, { stream, from: 8 })
  assert.ok(first && second)
  const folder = new QuarantineFolder(diskFiles, spool, forked('db'))
  folder.keep({ records: [first], held: { sequence: 8, hash: 'ef'.repeat(32) }, reason: 'fork', kind })
  folder.keep({ records: [second], reason: 'it follows', kind })
  assert.deepEqual([isForked(diskFiles, spool, stream), isForked(diskFiles, spool, other)], [true, false])
  assert.deepEqual(readHeld(diskFiles, spool, stream), { destination: 'db', seq: 8, hash: 'ef'.repeat(32) })
  assert.equal(readHeld(diskFiles, spool, other), undefined)
})

test('a file that the disk has damaged is still owed, with what its name says', (t) => {
  const spool = freshSpool(t)
  const records = chainOf(2, { stream })
  new QuarantineFolder(diskFiles, spool, forked('db')).keep({ records, reason: 'fork', kind })
  const [name = ''] = readdirSync(setAsideFolder(spool, 'forked', 'db'))
  writeFileSync(join(setAsideFolder(spool, 'forked', 'db'), name), 'rot')
  const [owed] = new QuarantineFolder(diskFiles, spool, forked('db')).owed()
  const details = { destination: 'db', stream, seq: 1, to: 2, to_hash: hashOf(records[1]), reason: 'FORKED: unknown' }
  assert.deepEqual(owed?.fact.details, details)
  assert.equal(readHeld(diskFiles, spool, stream), undefined)
})

/** A quarantine on a real folder whose facts are sealed as `answers` say, then always. */
function sealing(t: TestContext, answers: boolean[] = [], files: Files = diskFiles) {
  const folder = new QuarantineFolder(files, freshSpool(t), forked('db'))
  const facts: QuarantineFact[] = []
  const seal = async (fact: DeliveryFact) => {
    if ('kind' in fact) facts.push(fact)
    return answers.shift() ?? true
  }
  return { folder, facts, quarantine: new SealedQuarantine(keepersOf(folder), seal) }
}

test('that records were set aside is sealed once, each run in its order', async (t) => {
  const { folder, facts, quarantine } = sealing(t)
  const records = chainOf(4, { stream })
  assert.equal(await quarantine.setAside({ records: records.slice(0, 2), reason: 'fork', kind }, never), undefined)
  assert.equal(await quarantine.setAside({ records: records.slice(2), reason: 'fork', kind }, never), undefined)
  assert.deepEqual(
    facts.map(({ details }) => [details.seq, details.to]),
    [
      [1, 2],
      [3, 4],
    ],
  )
  assert.deepEqual(folder.owed(), [])
})

test('what cannot be sealed now is owed, holds nothing up, and is sealed before what comes later', async (t) => {
  const { folder, facts, quarantine } = sealing(t, [false])
  const records = chainOf(2, { stream })
  assert.equal(await quarantine.setAside({ records: records.slice(0, 1), reason: 'fork', kind }, never), undefined)
  assert.equal(folder.owed().length, 1)
  await quarantine.setAside({ records: records.slice(1), reason: 'fork', kind }, never)
  assert.deepEqual(
    facts.map(({ details }) => details.seq),
    [1, 1, 2],
  )
  assert.deepEqual(folder.owed(), [])
})

test('what is owed from before is sealed when the lane runs', async (t) => {
  const { folder, facts, quarantine } = sealing(t)
  folder.keep({ records: chainOf(1, { stream }), reason: 'fork', kind })
  const stopping = new AbortController()
  const running = quarantine.run(stopping.signal)
  while (folder.owed().length > 0) await new Promise(setImmediate)
  stopping.abort()
  await running
  assert.equal(facts.length, 1)
})

test('records that the disk does not take are not set aside, and it says why', async (t) => {
  const full = () => Promise.reject(new Error('never sealed'))
  const files: Files = {
    ...diskFiles,
    sync: () => {
      throw Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' })
    },
  }
  const folder = new QuarantineFolder(files, freshSpool(t), forked('db'))
  const records = chainOf(1, { stream })
  const obstacle = await new SealedQuarantine(keepersOf(folder), full).setAside(
    { records, reason: 'fork', kind },
    never,
  )
  assert.match(obstacle ?? '', /cannot be set aside: ENOSPC/)
  assert.deepEqual([folder.owed(), folder.holds({ stream, sequence: 1, hash: hashOf(records[0]) })], [[], false])
})

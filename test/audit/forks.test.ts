import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ForkSealer, Forks } from '../../src/audit/forks.ts'
import type { ControlFact } from '../../src/event/record.ts'
import type { QuarantineFact } from '../../src/forward/quarantine.ts'

/** A trail whose next stream is ready after so many looks; never, without. */
function trail({ readyAfter = Number.POSITIVE_INFINITY, takes = true, isClosing = false } = {}) {
  const sealed: (ControlFact & { readonly stream: string })[] = []
  const wanted: unknown[] = []
  const said: string[] = []
  let stream = 'old'
  let looks = 0
  const sealer: ForkSealer = {
    get head() {
      return { stream, sequence: sealed.length }
    },
    startStream: (reason, ahead) => wanted.push(ahead ?? reason),
    proceed: () => {
      looks += 1
      if (looks >= readyAfter) stream = 'new'
    },
    sealFact: (fact) => {
      if (takes) sealed.push({ ...fact, stream })
      return takes
    },
  }
  const durable: (readonly [string, number])[] = []
  const forks = new Forks({
    sealer,
    durable: async (record) => {
      durable.push([record.stream, record.sequence])
    },
    isClosing: () => isClosing,
    say: (text) => said.push(text),
  })
  return { forks, sealed, wanted, said, durable }
}

const fact = (stream: string): QuarantineFact => ({
  kind: 'forked',
  type: 'audit.quarantined',
  stream,
  details: { destination: 'db', stream, seq: 5, to: 9 },
})
const found = { stream: 'old', sequence: 12, hash: 'ab', own: 7 }

test('a destination that is ahead begins a new stream and is spoken of once', () => {
  const { forks, wanted, said } = trail()
  forks.hearAhead('db', found)
  forks.hearAhead('db', found)
  assert.deepEqual(wanted[0], { destination: 'db', seq: 12, hash: 'ab' })
  assert.equal(said.length, 1)
  assert.match(
    said[0] ?? '',
    /^destination db holds record 12 of stream old, of which this spool has 7: .*restored.*A new stream begins/,
  )
})

test('another record where the destination is not longer is said as that', () => {
  const { forks, said } = trail()
  forks.hearAhead('db', { ...found, sequence: 6 })
  assert.match(said[0] ?? '', /^destination db holds another record 6 of stream old than this spool: /)
})

test('a destination that is ahead of a stream that has ended means nothing', () => {
  const { forks, wanted, said } = trail()
  forks.hearAhead('db', { ...found, stream: 'older' })
  assert.deepEqual([wanted, said], [[], []])
})

test('what was set aside of the stream being written is sealed in the one that follows it', async () => {
  const { forks, sealed, durable, said } = trail({ readyAfter: 3 })
  assert.equal(await forks.seal(fact('old')), true)
  assert.deepEqual(sealed, [{ type: 'audit.quarantined', details: fact('old').details, stream: 'new' }])
  assert.deepEqual(durable, [['new', 1]], 'and answered when that is durable')
  assert.match(said[0] ?? '', /^destination db holds others in the place of records 5 to 9/)
})

test('what was set aside of an earlier stream is sealed at once', async () => {
  const { forks, sealed, wanted } = trail()
  assert.equal(await forks.seal(fact('older')), true)
  assert.deepEqual([sealed[0]?.stream, wanted], ['old', []])
})

test('where no other stream can begin, the fact is sealed where it is rather than never', async () => {
  const { forks, sealed } = trail()
  assert.equal(await forks.seal(fact('old')), true)
  assert.equal(sealed[0]?.stream, 'old')
})

test('nothing is sealed behind the end of the stream, nor where the spool does not take it', async () => {
  for (const refuses of [{ isClosing: true }, { takes: false }]) {
    const { forks, sealed } = trail(refuses)
    assert.equal(await forks.seal(fact('older')), false)
    assert.deepEqual(sealed, [])
  }
})

/**
 * What every destination owes the forwarder, as one table of tests that run against its real server. A destination's
 * test says how its server is started, asked, made to refuse, to be busy, to fall silent; what it cannot do is left out
 * and shows as a skipped test with the reason.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { leafHash } from '../../src/chain/hash.ts'
import type { Batch, Delivery, Destination } from '../../src/destination/destination.ts'
import { parseRecord, type StoredRecord } from '../../src/event/record.ts'
import { makeBatch, makeRecord } from './records.ts'

export interface Peer {
  /** A destination of this server; the test closes it. */
  connect(): Destination | Promise<Destination>
  /** What the server holds: the texts of records, in the order in which it has them. */
  held(): Promise<readonly string[]>
  /** Ends the server in order, or kills it. */
  stop(): Promise<void>
  /** On the same address, with what it held. */
  start(): Promise<void>
}

export interface Contract {
  readonly name: string
  /** Why it cannot run here. */
  readonly skip?: string | undefined
  /** Started for each test; `t.after` ends it. */
  readonly open: (t: TestContext) => Promise<Peer>
  /** Makes the server refuse this record for ever, when that is in its power. */
  readonly refuse?: ((peer: Peer, id: string) => void | Promise<void>) | string
  /** Makes it ask for 7 seconds of patience until the returned function is called. */
  readonly busy?: ((peer: Peer) => () => void) | string
  /** Makes it take connections and answer nothing. */
  readonly silence?: ((peer: Peer) => Promise<() => Promise<void>>) | string
  /** Sends that a dead server goes unnoticed in, or what else makes `restart` another test. */
  readonly restart?: string
}

/** Linked as a stream is, because some destinations look at that; the first with whatever a text can hold. */
const chain: StoredRecord[] = []
for (let sequence = 1; sequence <= 40; sequence++) {
  const before = chain.at(-1)
  const odd = { reason: 'ünïcode \u2028 "quoted" \\ \n \u0000' }
  chain.push(makeRecord(sequence, before === undefined ? odd : { prev: leafHash(before.bytes) }))
}

/** `from` to `to`, included. */
const batchOf = (from: number, to: number): Batch => makeBatch(chain.slice(from - 1, to))
const idOf = (sequence: number): string => String(parseRecord(chain[sequence - 1]?.bytes ?? Buffer.of())?.id)
const textsOf = ({ records }: Batch): string[] => records.map(({ bytes }) => bytes.toString())

/** Declares the tests of one destination. */
export function testContract(contract: Contract): void {
  const { name, open, skip, refuse, busy, silence, restart } = contract
  const declare = (what: string, unable: string | undefined, run: (t: TestContext, peer: Peer) => Promise<void>) => {
    const reason = skip ?? unable
    test(`${name}: ${what}`, reason === undefined ? {} : { skip: reason }, async (t) => run(t, await open(t)))
  }
  const unable = (way: unknown) => (typeof way === 'string' ? way : way === undefined ? 'not in its power' : undefined)

  declare('a batch is delivered verbatim and in order', undefined, async (t, peer) => {
    const destination = await connect(t, peer)
    const batch = batchOf(1, 2)
    assert.deepEqual(await destination.send(batch, t.signal), { status: 'delivered' })
    assert.deepEqual(await destination.send(batchOf(3, 40), t.signal), { status: 'delivered' })
    assert.deepEqual(await heldAfter(peer, 40), textsOf(batchOf(1, 40)))
  })

  declare(
    'a batch that is sent again is taken, and no record comes twice but with the same bytes',
    undefined,
    async (t, peer) => {
      const destination = await connect(t, peer)
      for (const batch of [batchOf(1, 5), batchOf(1, 5), batchOf(4, 9)])
        assert.deepEqual(await destination.send(batch, t.signal), { status: 'delivered' })
      assert.deepEqual([...new Set(await heldAfter(peer, 9))].toSorted(), textsOf(batchOf(1, 9)).toSorted())
    },
  )

  declare(
    'a refused record makes its batch rejected, is named where the server names it, and stops no other',
    unable(refuse),
    async (t, peer) => {
      if (typeof refuse === 'function') await refuse(peer, idOf(3))
      const destination = await connect(t, peer)
      const whole = await destination.send(batchOf(1, 5), t.signal)
      assert.equal(whole.status, 'rejected')
      if (whole.status === 'rejected' && whole.indexes !== undefined) assert.deepEqual(whole.indexes, [2])
      const alone = await destination.send(batchOf(3, 3), t.signal)
      assert.equal(alone.status, 'rejected')
      assert.ok('reason' in alone && alone.reason.length > 0)
      for (const part of [batchOf(1, 2), batchOf(4, 5)])
        assert.deepEqual(await destination.send(part, t.signal), { status: 'delivered' })
      const held = new Set(await heldAfter(peer, 4))
      assert.deepEqual([...held].toSorted(), textsOf(makeBatch([...batchOf(1, 2).records, ...batchOf(4, 5).records])))
    },
  )

  declare('a busy server is tried again, when it asks for it', unable(busy), async (t, peer) => {
    const destination = await connect(t, peer)
    const release = typeof busy === 'function' ? busy(peer) : () => {}
    assert.partialDeepStrictEqual(await destination.send(batchOf(1, 2), t.signal), { status: 'retry', afterMs: 7_000 })
    release()
    assert.deepEqual(await destination.send(batchOf(1, 2), t.signal), { status: 'delivered' })
    assert.deepEqual(await heldAfter(peer, 2), textsOf(batchOf(1, 2)))
  })

  declare(
    'a server that falls silent holds a sending no longer than the signal says',
    unable(silence),
    async (t, peer) => {
      const destination = await connect(t, peer)
      const release = typeof silence === 'function' ? await silence(peer) : async () => {}
      t.after(release)
      const stopping = new AbortController()
      const sending = destination.send(batchOf(1, 2), stopping.signal)
      setImmediate(() => stopping.abort())
      assert.equal((await sending).status, 'retry')
    },
  )

  declare('a server that is gone is a retry, and gets the batch when it is back', restart, async (t, peer) => {
    const destination = await connect(t, peer)
    assert.deepEqual(await destination.send(batchOf(1, 3), t.signal), { status: 'delivered' })
    await heldAfter(peer, 3)
    await peer.stop()
    const failed = await destination.send(batchOf(4, 6), t.signal)
    assert.equal(failed.status, 'retry')
    assert.ok('reason' in failed && failed.reason.length > 0)
    await peer.start()
    assert.deepEqual(await sendUntilTaken(destination, batchOf(4, 6), t.signal), { status: 'delivered' })
    assert.deepEqual([...new Set(await heldAfter(peer, 6))].toSorted(), textsOf(batchOf(1, 6)).toSorted())
  })

  declare('a signal that has aborted already sends nothing', undefined, async (t, peer) => {
    const destination = await connect(t, peer)
    const stopped = await destination.send(batchOf(1, 2), AbortSignal.abort())
    assert.equal(stopped.status, 'retry')
    assert.match('reason' in stopped ? stopped.reason : '', /^stopped/)
    assert.deepEqual(await peer.held(), [])
  })
}

async function connect(t: TestContext, peer: Peer): Promise<Destination> {
  const destination = await peer.connect()
  t.after(() => destination.close())
  return destination
}

/** As the forwarder would: a connection that died unnoticed may cost one more try. */
async function sendUntilTaken(destination: Destination, batch: Batch, signal: AbortSignal): Promise<Delivery> {
  for (let tries = 1; ; tries++) {
    const delivery = await destination.send(batch, signal)
    if (delivery.status !== 'retry' || tries === 3) return delivery
  }
}

/** Looks until so many different records are held: a server that does not confirm takes its time. */
async function heldAfter(peer: Peer, records: number): Promise<readonly string[]> {
  const deadline = AbortSignal.timeout(10_000)
  for (;;) {
    const held = await peer.held()
    if (new Set(held).size >= records || deadline.aborted) return held
  }
}

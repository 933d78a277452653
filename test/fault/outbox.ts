/** Row 20: sequencers die at every step of a batch while others compete. Committed means sealed once, whatever dies. */

import { once } from 'node:events'
import { convertEvent } from '../../src/event/convert.ts'
import { newRecordId } from '../../src/event/record-id.ts'
import { type Connection, createConnection } from '../../src/postgres/client.ts'
import { encodeEnlisted } from '../../src/postgres/enlisted.ts'
import { migrateUp } from '../../src/postgres/migrate.ts'
import { insertEvent } from '../../src/postgres/outbox.ts'
import { createPostgresSource } from '../../src/verify/sources/postgres.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { startEmbeddedPostgres } from '../support/postgres.ts'
import { makeKeys } from '../support/trail.ts'
import type { FaultTest, Observed, Size } from './fault.ts'
import type { Lab } from './lab.ts'
import { type KillStep, killSteps, type SequencerOrder } from './outbox-order.ts'

const program = new URL('./outbox-sequencer.ts', import.meta.url).pathname
const competitors = 3

/** What the business transactions have done. */
interface Business {
  readonly committed: Set<string>
  readonly rolledBack: Set<string>
}

async function crashSequencers(lab: Lab, size: Size): Promise<Observed> {
  const server = await startEmbeddedPostgres()
  lab.onDispose(() => server.stop())
  const client = createConnection({ url: server.url })
  lab.onDispose(() => client.destroy())
  await client.open()
  await migrateUp(client)

  const business: Business = { committed: new Set(), rolledBack: new Set() }
  const stopping = new AbortController()
  const trading = trade(client, business, stopping.signal)
  const rounds = size === 'short' ? 1 : 12
  const killed = Promise.all(
    Array.from({ length: competitors }, (_, one) => dieAgainAndAgain(lab, { url: server.url, one, rounds })),
  )
  const kills = (await killed).reduce((sum, one) => sum + one, 0)
  stopping.abort()
  await trading
  const last = startSequencer(lab, { url: server.url, directory: lab.path('journal-0') })
  const ended = once(last, 'close')
  await emptied(client)
  last.kill('SIGTERM')
  await ended
  return judge(client, server.url, { business, kills })
}

/** One slot of the competition: for each step a process that dies there, then the next one. */
async function dieAgainAndAgain(lab: Lab, work: { url: string; one: number; rounds: number }): Promise<number> {
  let kills = 0
  for (let round = 0; round < work.rounds; round += 1) {
    for (const [index, step] of killSteps.entries()) {
      const order = { url: work.url, directory: lab.path(`journal-${work.one}`), step, at: 1 + ((index + round) % 3) }
      const child = startSequencer(lab, order)
      const [, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
      if (signal !== 'SIGKILL') throw new Error(`a sequencer to be killed ${step} ended by ${signal}`)
      kills += 1
    }
  }
  return kills
}

function startSequencer(lab: Lab, order: SequencerOrder & { readonly step?: KillStep }) {
  const child = lab.spawn(process.execPath, [program, JSON.stringify(order)])
  child.stdout?.resume()
  child.stderr?.resume()
  return child
}

/** Business transactions until the signal: every fourth is rolled back, one in eight is rolled back to a savepoint. */
async function trade(client: Connection, business: Business, signal: AbortSignal): Promise<void> {
  for (let index = 0; !signal.aborted; index += 1) {
    const id = newRecordId()
    const undone = newRecordId()
    await client.query('begin')
    await insertEvent(client, { id, event: eventText(index) })
    await client.query('savepoint one')
    await insertEvent(client, { id: undone, event: eventText(index) })
    await client.query(index % 8 === 0 ? 'rollback to savepoint one' : 'release savepoint one')
    const isKept = index % 4 !== 1
    await client.query(isKept ? 'commit' : 'rollback')
    if (isKept) business.committed.add(id)
    else business.rolledBack.add(id)
    if (isKept && index % 8 !== 0) business.committed.add(undone)
    else business.rolledBack.add(undone)
  }
}

function eventText(index: number): string {
  return encodeEnlisted(convertEvent({ action: 'session.create', operation: 'create', details: { index } }))
}

/** Waits until everything is sealed. */
async function emptied(client: Connection): Promise<void> {
  for (;;) {
    const { rows } = await client.query('select from audit.outbox limit 1')
    if (rows.length === 0) return
  }
}

async function judge(
  client: Connection,
  url: string,
  { business, kills }: { business: Business; kills: number },
): Promise<Observed> {
  const { rows } = await client.query<{ record_id: string }>(
    `select record_id from audit.record where event_type = 'audit'`,
  )
  const stored = new Set(rows.map(({ record_id }) => record_id))
  const lost = [...business.committed].filter((id) => !stored.has(id))
  const undone = [...business.rolledBack].filter((id) => stored.has(id))
  if (lost.length > 0) throw new Error(`${lost.length} committed events are not stored`)
  if (undone.length > 0) throw new Error(`${undone.length} events of rolled back work are stored`)
  if (rows.length !== stored.size) throw new Error(`${rows.length - stored.size} events are stored twice`)
  if (stored.size !== business.committed.size) throw new Error('events are stored that nobody has emitted')
  const report = await verifySource(createPostgresSource(url), { verifiers: [makeKeys('fault').verifier] })
  if (report.verdict !== 'INTACT')
    throw new Error(`the journal is ${report.verdict}: ${JSON.stringify(report.findings)}`)
  if (report.streams.length !== 1) throw new Error(`the journal has ${report.streams.length} streams`)
  return {
    injected: { 'kills of sequencers': kills, 'events of rolled back work': business.rolledBack.size },
    survived: { 'committed events stored once': stored.size, 'signed checkpoints': report.checkpoints },
    detail: `${competitors} sequencers at a time; the chain is gap-free and INTACT`,
  }
}

const outboxCrash: FaultTest = {
  name: 'outbox-crash',
  row: '20',
  promise: 'What a transaction has committed is sealed exactly once, whichever sequencer dies at whichever step.',
  needs: [],
  limitSeconds: { short: 120, long: 900 },
  run: crashSequencers,
}

export const outboxTests: readonly FaultTest[] = [outboxCrash]

/**
 * Whether the standbys of a server hold what it has committed. A failover goes to one of them: what none of them holds
 * may be gone by it, so that its numbers would be issued again. Whoever exports or signs a record asks here first. Reads
 * what the server says of its standbys and changes nothing there.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { monotonicMs } from '../clock.ts'
import type { Queryable } from './client.ts'
import type { Difference } from './inspect.ts'

/**
 * How many standbys must hold a record, whichever, besides those that the server demands; 0: only what its own commits
 * wait for. `undefined`: those that `synchronous_standby_names` demands, and where that is empty, one of those there are.
 */
export type StandbyDemand = number | undefined

/** Why standbys do not hold what is asked for, and whether that may pass within a moment. */
interface Lack {
  readonly text: string
  readonly mayPass: boolean
}

interface Standby {
  readonly name: string
  readonly isConnected: boolean
  /** The server shows this user what it is. */
  readonly isShown: boolean
  /** It is known how far it is: to those to whom it is shown, and to everybody where it has a slot. */
  readonly isKnown: boolean
  /** One that the server's own commits may wait for, as far as it is shown. */
  readonly isSynchronous: boolean
  /** It has the place that is asked for on its disk. */
  readonly holds: boolean
}

export interface StandbyLook {
  /** `synchronous_standby_names`. */
  readonly names: string
  readonly timeline: string
  /** The place in the WAL that is asked for. */
  readonly place: string
  readonly standbys: readonly Standby[]
}

/** How often is looked while one is waited for, in milliseconds. */
const lookMs = { first: 2, most: 50 }
/** How long `doctor` waits. */
const inspectMsMax = 1_000
/** A commit that waits for so long waits for a standby that does not come. */
const stuckSeconds = 5

export class Standbys {
  readonly #demand: StandbyDemand
  /** Where standbys were seen: one that is gone is missed until the server is another one. */
  #seenOn: string | undefined
  #isLater = false

  constructor(demand: StandbyDemand) {
    this.#demand = demand
  }

  /** What is committed is confirmed later than its commit returns, as far as was last looked. */
  get confirmLater(): boolean {
    return this.#isLater
  }

  /** Looks which standbys there are, and whether a commit of ours must itself wait for those that are synchronous. */
  async look(client: Queryable): Promise<{ readonly commitWaits: boolean }> {
    const look = this.#learn(await readStandbys(client))
    return { commitWaits: look.names !== '' && (this.#demand === 0 || !areShown(look)) }
  }

  /**
   * Waits until what was committed and flushed before the call is held by the standbys that are demanded: so long at most,
   * and not for those that are away. To why it is not; `undefined` when it is.
   */
  async awaitHeld(client: Queryable, msMax: number): Promise<string | undefined> {
    const untilMs = monotonicMs() + msMax
    let look = this.#learn(await readStandbys(client))
    for (let pauseMs = lookMs.first; ; pauseMs = Math.min(lookMs.most, pauseMs * 2)) {
      const reason = this.#reasonAgainst(look)
      if (reason === undefined || !reason.mayPass || monotonicMs() >= untilMs) return reason?.text
      await sleep(pauseMs)
      look = this.#learn(await readStandbys(client, look.place))
    }
  }

  #learn(look: StandbyLook): StandbyLook {
    if (look.standbys.length > 0) this.#seenOn = look.timeline
    const hasAny = look.standbys.length > 0 || this.#seenOn === look.timeline
    this.#isLater = this.#demand === undefined ? look.names === '' && hasAny : this.#demand > 0
    return look
  }

  #reasonAgainst(look: StandbyLook): Lack | undefined {
    if (this.#demand === 0) return undefined
    if (look.names !== '' && areShown(look)) {
      const synchronous = look.standbys.filter(({ isSynchronous }) => isSynchronous)
      const reason = lacking(synchronous, countDemanded(look.names), `synchronous_standby_names = ${look.names}`)
      if (reason !== undefined) return reason
    }
    if (!this.#isLater) return undefined
    const wanted = this.#demand ?? 1
    const found =
      look.standbys.length === 0 && this.#demand === undefined ? 'the one that was connected is gone' : undefined
    return lacking(look.standbys, wanted, found)
  }
}

/** What the server has of standbys, and whether they hold what is flushed now, or a place in the WAL. */
export async function readStandbys(client: Queryable, place?: string): Promise<StandbyLook> {
  const { rows } = await client.query<Omit<StandbyLook, 'standbys'> & { standbys: Standby[] }>(selection, [
    place ?? null,
  ])
  return rows[0] ?? { names: '', timeline: '', place: '', standbys: [] }
}

/**
 * A slot tells how far its standby is to everybody, the view to few. Subscribers and copies under way are no standbys; a
 * slot whose standby is away is one that is to come back.
 */
const selection = `with asked as materialized (select coalesce($1::pg_lsn, pg_current_wal_flush_lsn()) as place),
  sender as (
    select coalesce(nullif(r.application_name, ''), 'without a name') as name, true as "isConnected",
      r.state is not null as "isShown", r.state is not null or s.slot_name is not null as "isKnown",
      coalesce(r.sync_state in ('sync', 'quorum'), false) as "isSynchronous",
      coalesce(coalesce(r.flush_lsn, s.restart_lsn) >= a.place, false) as holds
    from asked a, pg_stat_replication r left join pg_replication_slots s on s.active_pid = r.pid
    where s.slot_type is distinct from 'logical' and r.state is distinct from 'backup'
      and r.application_name is distinct from 'pg_basebackup'
    union all
    select slot_name, false, true, true, false, false from pg_replication_slots
    where slot_type = 'physical' and not active and not temporary and restart_lsn is not null
      and wal_status is distinct from 'lost'
  )
  select current_setting('synchronous_standby_names') as names, a.place::text as place,
    left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) as timeline,
    (select coalesce(json_agg(sender order by name), '[]') from sender) as standbys
  from asked a`

/** How many standbys a commit waits for: `FIRST 2 (a, b, c)`, `ANY 1 (a, b)`, `2 (a, b)`; of a mere list, one. */
export function countDemanded(names: string): number {
  if (names.trim() === '') return 0
  const [, count = '1'] = /^\s*(?:(?:first|any)\s+)?(\d+)\s*\(/i.exec(names) ?? []
  return Number(count)
}

/** That a commit which this user can see waits for a synchronous standby that does not come; `undefined`: none does. */
export async function readStuckCommit(client: Queryable): Promise<string | undefined> {
  const { rows } = await client.query<{ is_stuck: boolean; names: string }>(
    `select current_setting('synchronous_standby_names') as names, exists (
       select from pg_stat_activity
       where wait_event = 'SyncRep' and query_start < clock_timestamp() - make_interval(secs => ${stuckSeconds})
     ) as is_stuck`,
  )
  if (rows[0]?.is_stuck !== true) return undefined
  return (
    `a commit waits for a standby that does not answer (synchronous_standby_names = ${rows[0].names}): start it again, ` +
    'or take it out of that setting'
  )
}

/** For `doctor`: that the standbys which must hold what is exported and signed do not, within a moment. */
export async function inspectStandbys(client: Queryable): Promise<Difference[]> {
  const { rows } = await client.query<{ is_standby: boolean }>('select pg_is_in_recovery() as is_standby')
  if (rows[0]?.is_standby === true) return [] // what hangs on it is not what the journal waits for
  const found = await new Standbys(undefined).awaitHeld(client, inspectMsMax)
  if (found === undefined) return []
  return [{ kind: 'standby', object: 'pg_stat_replication', expected: 'standbys that hold what was committed', found }]
}

function areShown({ standbys }: StandbyLook): boolean {
  return standbys.every(({ isShown }) => isShown)
}

const unknown =
  'the server has standbys, and this user may not see how far they are: grant pg_read_all_stats to it, or set ' +
  'outbox.standbys to 0'

/** Why too few of these hold what is asked for. */
function lacking(standbys: readonly Standby[], wanted: number, found: string | undefined): Lack | undefined {
  const holding = standbys.filter(({ holds }) => holds).length
  if (holding >= wanted) return undefined
  if (!standbys.every(({ isKnown }) => isKnown)) return { mayPass: false, text: unknown }
  const mayPass = standbys.filter(({ isConnected }) => isConnected).length >= wanted
  const list = standbys.map(({ name, isConnected, holds }) => {
    return `${name} ${holds ? 'holds it' : isConnected ? 'is behind' : 'is away'}`
  })
  const known = [...(found === undefined ? [] : [found]), ...list].join(', ')
  const text =
    `${holding} of ${wanted} ${wanted === 1 ? 'standby holds' : 'standbys hold'} what was committed` +
    `${known === '' ? '' : ` (${known})`}: start what is away, drop the slot of what does not come back, or set ` +
    'outbox.standbys to 0, and a failover may take back what was exported'
  return { mayPass, text }
}

/** The users of the broker: each signs in, asks for more than it may have, works, repeats itself, and gives back. */

import { randomUUID } from 'node:crypto'

/** What a broker has confirmed to its users: ids of what is there now, by what they are. */
export interface Confirmed {
  readonly sessions: string[]
  readonly grants: string[]
  readonly revocations: string[]
  readonly executions: string[]
  /** Answers of refusal. */
  denials: number
}

export interface Visit {
  readonly url: string
  /** Numbers of the users. */
  readonly from: number
  readonly to: number
  /** Called at each answer. */
  readonly onAnswer?: (() => void) | undefined
}

/** How many requests one user makes. */
export const requestsOfUser = 8
const usersAtOnce = 16

/** All of them, a few at once. A user whose broker is gone goes away. */
export async function visit({ url, from, to, onAnswer }: Visit): Promise<Confirmed> {
  const confirmed: Confirmed = { sessions: [], grants: [], revocations: [], executions: [], denials: 0 }
  let next = from
  const one = async () => {
    while (next < to) {
      const user = next++
      await work(user, confirmed, asker(url, user, onAnswer)).catch(onlyGone) // one after the other
    }
  }
  await Promise.all(Array.from({ length: usersAtOnce }, one))
  return confirmed
}

type Ask = (path: string, body: Record<string, string>) => Promise<string | undefined>

async function work(user: number, confirmed: Confirmed, ask: Ask): Promise<void> {
  const [tenant, name] = [`tenant-${user % 3}`, `user-${user}`]
  const keep = (list: string[], id: string | undefined) => {
    if (id === undefined) confirmed.denials += 1
    else list.push(id)
    return id ?? ''
  }
  const session = keep(confirmed.sessions, await ask('/sessions', { tenant, user: name }))
  const grant = keep(confirmed.grants, await ask('/grants', { session, resource: `db/orders-${user % 5}` }))
  keep(confirmed.grants, await ask('/grants', { session, resource: 'vault/root' }))
  const execute = async (line: string, nonce: string) =>
    keep(confirmed.executions, await ask('/executions', { grant, line, nonce }))
  await execute('select orders', '1')
  await execute('export orders csv', '2')
  await execute('export orders csv', '2')
  keep(confirmed.revocations, await ask('/revocations', { grant }))
  await execute('select customers', '3')
}

/** The id of what was made; `undefined` where that was refused. Rejects when nobody answers. */
function asker(url: string, user: number, onAnswer: (() => void) | undefined): Ask {
  return async (path, body) => {
    const headers = { 'x-request-id': randomUUID(), 'x-forwarded-for': `203.0.113.${user % 250}` }
    const response = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) })
    const said = await response.text()
    onAnswer?.()
    if (response.status === 201) return said
    if (response.status === 403) return undefined
    throw new Gone(`the broker answered ${response.status}`)
  }
}

class Gone extends Error {}

/** `fetch` rejects with a TypeError when nobody listens, or hangs up. */
function onlyGone(error: unknown): void {
  if (!(error instanceof Gone) && !(error instanceof TypeError)) throw error
}

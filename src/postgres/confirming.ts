/**
 * Whether a sequencer may sign what it has sealed: only what the standbys hold that count (`standbys.ts`). A signed
 * checkpoint may leave the database, and a failover must not take back what it covers. Sealing does not wait: where
 * standbys are behind, they are asked again after a while, each time with more patience.
 */

import { monotonicMs } from '../clock.ts'
import type { Queryable } from './client.ts'
import { readStuckCommit, type StandbyDemand, Standbys } from './standbys.ts'

/** How long standbys are waited for, with the journal locked, and how long they are not asked after that. */
const patience = { msFirst: 250, msMost: 2_000, msRest: 1_000 }

export class Confirming {
  readonly #standbys: Standbys
  #looked: Queryable | undefined
  #patienceMs = patience.msFirst
  #restsUntilMs = 0
  #reason: string | undefined

  constructor(demand: StandbyDemand) {
    this.#standbys = new Standbys(demand)
  }

  /** Why what is sealed is not signed; `undefined`: it is. */
  get reason(): string | undefined {
    return this.#reason
  }

  /** Commits return before standbys hold them that count: what is sealed may still be taken back by a failover. */
  get isLater(): boolean {
    return this.#standbys.confirmLater
  }

  /** Looks at the standbys once for each connection. */
  async lookAt(client: Queryable): Promise<void> {
    if (this.#looked === client) return
    await this.#standbys.look(client)
    this.#looked = client
  }

  /** Whether everything that was committed before is held. `now`: they are asked in any case. */
  async isHeld(client: Queryable, { now }: { readonly now: boolean }): Promise<boolean> {
    if (!now && monotonicMs() < this.#restsUntilMs) return false
    this.#reason = await this.#standbys.awaitHeld(client, now ? patience.msMost : this.#patienceMs)
    const isHeld = this.#reason === undefined
    if (!isHeld) this.#restsUntilMs = monotonicMs() + patience.msRest
    this.#patienceMs = isHeld ? patience.msFirst : Math.min(patience.msMost, this.#patienceMs * 2)
    return isHeld
  }

  forget(): void {
    this.#reason = undefined
  }

  /** Where another one has the journal: it may be a commit that waits for a standby for ever. */
  async lookForStuck(client: Queryable): Promise<void> {
    this.#reason = await readStuckCommit(client)
  }
}

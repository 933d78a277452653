/**
 * The process of one contender: it is set up, measured on order, and closed. Started by `turns.ts`; answers each
 * order with figures, and ends with the channel to its parent.
 */

import { context } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { type CheckerSetup, checkers } from './checkers.ts'
import { type DrainerSetup, measureDrain } from './drainer.ts'
import type { EmitterSetup } from './emitter.ts'
import { emitters } from './emitters.ts'
import type { Figures } from './figures.ts'
import { type Load, measureLoad } from './load.ts'
import type { JudgeSetup } from './policy-judges.ts'
import type { TableSetup } from './postgres-load.ts'
import type { UpkeepSetup } from './postgres-upkeep.ts'
import type { KeeperSetup } from './spool-keeper.ts'
import { type KeeperLoad, measureKeeper } from './spool-load.ts'

/** What a contender is told first. */
export type Setup =
  | ({ readonly role: 'emitter'; readonly name: string } & EmitterSetup)
  | ({ readonly role: 'checker'; readonly name: string } & CheckerSetup)
  | ({ readonly role: 'keeper'; readonly name: string } & KeeperSetup)
  | ({ readonly role: 'judge'; readonly name: string } & JudgeSetup)
  | ({ readonly role: 'table'; readonly name: string } & TableSetup)
  | ({ readonly role: 'upkeep'; readonly name: string } & UpkeepSetup)
  | ({ readonly role: 'drainer'; readonly name: string } & DrainerSetup)

/** Emitters and keepers are measured under a load of their kind, judges, tables and upkeep with so many events. */
export interface MeasureOrder {
  readonly kind: 'measure'
  readonly load?: Load | undefined
  readonly keeperLoad?: KeeperLoad | undefined
  readonly events?: number | undefined
}

/** What a contender is told, one order at a time. */
export type Order = { readonly kind: 'setup'; readonly setup: Setup } | MeasureOrder | { readonly kind: 'close' }

export type Answer = { readonly figures: Figures } | { readonly error: string }

interface Contender {
  measure(order: MeasureOrder): Promise<Figures>
  close(): Promise<Figures>
}

let contender: Contender | undefined

process.on('message', (order: Order) => {
  obey(order).then(
    (figures) => {
      answer({ figures })
      if (order.kind === 'close') process.disconnect?.() // nothing else keeps this process alive
    },
    (thrown: unknown) => answer({ error: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) }),
  )
})

function answer(one: Answer): void {
  process.send?.(one)
}

async function obey(order: Order): Promise<Figures> {
  if (order.kind === 'setup') {
    contender = await startContender(order.setup)
    return {}
  }
  if (contender === undefined) throw new Error('an order before the setup')
  return order.kind === 'close' ? contender.close() : contender.measure(order)
}

async function startContender(setup: Setup): Promise<Contender> {
  if (setup.role === 'checker') return startChecker(setup)
  if (setup.role === 'table') return startTable(setup)
  if (setup.role === 'drainer') return startDrainer(setup)
  if (setup.role === 'upkeep') return startUpkeep(setup)
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  if (setup.role === 'judge') return startJudge(setup)
  return setup.role === 'emitter' ? startEmitter(setup) : startKeeper(setup)
}

function startEmitter(setup: { readonly name: string } & EmitterSetup): Contender {
  const emitter = emitters[setup.name]?.(setup)
  if (emitter === undefined) throw new Error(`no emitter ${setup.name}`)
  return {
    measure({ load }) {
      if (load === undefined) throw new Error('an emitter is measured under a load')
      return measureLoad(emitter, load)
    },
    close: async () => ({ records: await emitter.close() }),
  }
}

async function startKeeper(setup: { readonly name: string } & KeeperSetup): Promise<Contender> {
  const { keepers } = await import('./spool-keepers.ts') // with LMDB, which nobody else should have in its process
  const keeper = keepers[setup.name]?.(setup)
  if (keeper === undefined) throw new Error(`no keeper ${setup.name}`)
  return {
    measure({ keeperLoad }) {
      if (keeperLoad === undefined) throw new Error('a keeper is measured under a load')
      return measureKeeper(keeper, setup.directory, keeperLoad)
    },
    async close() {
      await keeper.close()
      return {}
    },
  }
}

async function startJudge(setup: { readonly name: string } & JudgeSetup): Promise<Contender> {
  const { judges, measureJudge } = await import('./policy-judges.ts')
  const judge = judges[setup.name]?.(setup)
  if (judge === undefined) throw new Error(`no judge ${setup.name}`)
  return {
    async measure({ events }) {
      if (events === undefined) throw new Error('a judge is measured with events')
      return measureJudge(judge, events)
    },
    async close() {
      await judge.close()
      return {}
    },
  }
}

async function startTable(setup: { readonly name: string } & TableSetup): Promise<Contender> {
  const { TableContender } = await import('./postgres-load.ts') // with the database driver
  const table = await TableContender.open(setup.name, setup)
  return {
    measure({ events }) {
      if (events === undefined) throw new Error('a table is measured with events')
      return table.measure(events)
    },
    async close() {
      await table.close()
      return {}
    },
  }
}

async function startUpkeep(setup: { readonly name: string } & UpkeepSetup): Promise<Contender> {
  const { upkeeps } = await import('./postgres-upkeep.ts')
  const measure = upkeeps[setup.name]
  if (measure === undefined) throw new Error(`no upkeep ${setup.name}`)
  return {
    measure({ events }) {
      if (events === undefined) throw new Error('upkeep is measured with events')
      return measure(setup, events)
    },
    close: () => Promise.resolve({}),
  }
}

/** What it has brought there in all is what it closes with. */
async function startDrainer(setup: DrainerSetup): Promise<Contender> {
  const { drainers } = await import('./drainers.ts') // with every destination
  const drainer = drainers[setup.way]?.(setup)
  if (drainer === undefined) throw new Error(`no way ${setup.way}`)
  let drained = 0
  return {
    async measure() {
      const figures = await measureDrain(drainer)
      drained += figures.records ?? 0
      return figures
    },
    async close() {
      await drainer.close?.()
      return { records: drained }
    },
  }
}

function startChecker(setup: { readonly name: string } & CheckerSetup): Contender {
  const check = checkers[setup.name]
  if (check === undefined) throw new Error(`no checker ${setup.name}`)
  return {
    measure: () => check(setup),
    close: () => Promise.resolve({}),
  }
}

/** The machine a benchmark ran on, as far as its figures depend on it. */

import { availableParallelism, cpus, loadavg, release, type } from 'node:os'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly node: string
  readonly system: string
  /** UTC, `YYYY-MM-DD`. */
  readonly date: string
  /** Load average of the minute before the run: what else was going on. */
  readonly load: number
}

export function readMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown CPU',
    cores: availableParallelism(),
    node: process.version,
    system: `${type()} ${release().split('-')[0]}`,
    date: new Date().toISOString().slice(0, 10),
    load: Math.round((loadavg()[0] ?? 0) * 10) / 10,
  }
}

export function formatMachine({ cpu, cores, node, system, date, load }: Machine): string {
  return `${cpu}, ${cores} cores, ${system}, Node ${node}; ${date}; load average before the run ${load.toFixed(1)}.`
}

/**
 * One history from one seed: hosts on which processes live, die and come back, held after every recovery against what
 * was promised. Throws an error that says which promise broke.
 */

import { type DiskCounts, SimDisk } from './disk.ts'
import { Host } from './host.ts'
import { World, type WorldCounts } from './world.ts'

export type HistoryCounts = WorldCounts & DiskCounts

export function runHistory(seed: number): HistoryCounts {
  const world = new World(seed)
  const disk = new SimDisk(world.random)
  const hosts = [new Host(world, disk, 'one')]
  world.hosts = hosts
  for (let life = 0; life < world.plan.lives; life += 1) {
    for (const host of [...hosts]) host.live()
    if (world.plan.copies !== 'none' && world.random.chance(0.5)) copyOrRestore(world, hosts)
  }
  for (const host of hosts) host.conclude()
  return { ...world.counts, ...disk.counts }
}

/** A snapshot is taken once; later it comes back, on another host or in the place of what was there. */
function copyOrRestore(world: World, hosts: Host[]): void {
  const [host] = hosts
  if (host === undefined || hosts.length > 1) return
  if (host.snapshot === undefined) host.takeSnapshot()
  else {
    world.counts.copies += 1
    if (world.plan.copies === 'clone') hosts.push(host.clone(host.snapshot, 'two'))
    else host.restore(host.snapshot)
  }
}

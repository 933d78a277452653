/**
 * Rows 8 and 9: a real file system whose disk fails and heals again under the running writer. The kernel marks pages
 * of a failed write-back as clean, so that a second sync succeeds over nothing (fsyncgate): what is acknowledged must
 * be readable after the caches were dropped and the file system was mounted anew.
 */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultTest, Observed, Size } from './fault.ts'
import { command, Lab, unmount } from './lab.ts'
import { recordRun } from './strace-log.ts'
import * as trail from './trail.ts'

interface SickDisk {
  /** Where it is mounted, and what mounts it again. */
  readonly at: string
  readonly device: string
  breakIt(): void
  heal(): void
}

/** On a disk of its own each time; the counts together. */
async function repeatedly(lab: Lab, size: Size, make: (lab: Lab) => SickDisk | Promise<SickDisk>): Promise<Observed> {
  const sums = { injected: {} as Record<string, number>, survived: {} as Record<string, number> }
  for (let round = 0; round < (size === 'short' ? 1 : 10); round += 1) {
    await using inner = new Lab('sick-disk')
    lab.onDispose(() => inner[Symbol.asyncDispose]()) // should the time be up in the middle of it
    const observed = await survive(inner, await make(inner))
    for (const side of ['injected', 'survived'] as const)
      for (const [what, count] of Object.entries(observed[side])) sums[side][what] = (sums[side][what] ?? 0) + count
  }
  return sums
}

/** The writer before, during and after the fault, then what is readable of it after a new mount. */
async function survive(lab: Lab, disk: SickDisk): Promise<Observed> {
  const directory = join(disk.at, 'spool')
  const audit = { spool: { directory, bytesMax: 2 ** 22, reserveBytes: 2 ** 16 } }
  const order = { run: 'sick', paceMs: 10, burst: 10, padBytes: 900, observeEvery: 5, audit }
  const recorded = recordRun(lab, order, { only: ['fdatasync', 'fsync'] })
  const { subject } = recorded
  await subject.until(({ durable }) => durable.length >= 10)
  disk.breakIt()
  const before = {
    states: subject.states.length,
    refused: subject.emergencies.length,
    written: subject.written.length,
  }
  await subject.until(
    ({ states, emergencies, written }) =>
      states.length > before.states || emergencies.length > before.refused || written.length > before.written + 1_000, // one that notices nothing must not stop the test
  )
  await sleep(300) // how long the disk stays broken, not a wait for something
  disk.heal()
  const { length } = subject.durable
  await subject.until(({ durable }) => durable.length >= length + 10)
  assert.ok(subject.durable.length >= length + 10, `records become durable again: ${subject.complaints}`)
  await subject.kill()
  const failed = recorded.calls().filter(({ error }) => error !== undefined).length
  assert.ok(failed > 0, 'the kernel has reported a failed sync')
  unmount(disk.at)
  writeFileSync('/proc/sys/vm/drop_caches', '3')
  command('mount', disk.device, disk.at)
  const records = trail.readSpool(directory)
  trail.checkChain(records)
  trail.checkAcknowledged(subject.durable, records)
  return {
    injected: { 'broken disks': 1, 'failed syncs': failed },
    survived: {
      'records acknowledged as durable': subject.durable.length,
      'events refused meanwhile': subject.emergencies.length,
    },
  }
}

/** An image whose free blocks are holes: its own disk has no room for them once it is full, so data fails, not metadata. */
function makeFullDisk(lab: Lab): SickDisk {
  const below = lab.tmpfs('below', 40 * 2 ** 20)
  const path = join(below, 'disk.img')
  writeFileSync(path, Buffer.alloc(24 * 2 ** 20))
  command(
    'mkfs.ext4',
    '-q',
    '-F',
    '-b',
    '4096',
    '-E',
    'lazy_itable_init=0,lazy_journal_init=0,nodiscard',
    '-J',
    'size=4',
    path,
  )
  writeFileSync(path, readFileSync(path)) // mkfs has made holes of its zeros: the journal must not be one
  for (const [, from, to] of command('dumpe2fs', path).matchAll(/^ {2}Free blocks: (\d+)-(\d+)/gm)) {
    const blocks = Number(to) - Number(from) + 1
    command('fallocate', '-p', '-o', String(Number(from) * 4_096), '-l', String(blocks * 4_096), path)
  }
  const device = lab.loop(path)
  // The loop driver calls a write done that its file took a part of; one page is taken or refused as a whole.
  writeFileSync(`/sys/block/${basename(device)}/queue/max_sectors_kb`, '4')
  const at = lab.mount('disk', [device])
  const filler = join(below, 'filler')
  return {
    at,
    device,
    breakIt: () => {
      spawnSync('sync', ['-f', at]) // which reports the failure of the round before
      fill(filler)
    },
    heal: () => rmSync(filler),
  }
}

/** Writes until the disk takes no more. */
function fill(path: string): void {
  const file = openSync(path, 'w')
  try {
    for (;;) writeSync(file, Buffer.alloc(4_096))
  } catch {
    closeSync(file)
  }
}

const fsyncgateReal: FaultTest = {
  name: 'fsyncgate-real',
  row: '8',
  promise:
    'On a real ext4 whose disk loses written pages, everything acknowledged is readable after the caches were dropped.',
  needs: ['linux', 'loop', 'strace'],
  limitSeconds: { short: 120, long: 300 },
  run: (lab, size) => repeatedly(lab, size, makeFullDisk),
}

/** A disk served by nbdkit, which answers writes with EIO as long as a file is there. No journal: it would give up. */
async function makeSwitchedDisk(lab: Lab): Promise<SickDisk> {
  const share = lab.path('share')
  mkdirSync(share)
  const sick = lab.path('sick')
  const server = [
    'nbdkit',
    '--exit-with-parent',
    '--filter=error',
    'memory',
    '64M',
    'error=EIO',
    'error-pwrite-rate=100%',
    `error-file=${sick}`,
  ]
  lab.spawn('nbdfuse', [share, '[', ...server, ']'])
  lab.onDispose(() => unmount(share))
  const file = join(share, 'nbd')
  for (let attempt = 0; !existsSync(file) && attempt < 100; attempt += 1) await sleep(50)
  const device = lab.loop(file)
  command('mkfs.ext4', '-q', '-F', '-O', '^has_journal', '-E', 'lazy_itable_init=0', device)
  const at = lab.mount('disk', ['-o', 'errors=continue', device])
  return { at, device, breakIt: () => writeFileSync(sick, ''), heal: () => rmSync(sick) }
}

const diskDies: FaultTest = {
  name: 'disk-dies-and-heals',
  row: '9',
  promise:
    'A disk that answers every write with EIO for a while: the writer resumes when it heals, and nothing acknowledged is lost.',
  needs: ['linux', 'loop', 'nbd', 'strace'],
  limitSeconds: { short: 120, long: 300 },
  run: (lab, size) => repeatedly(lab, size, makeSwitchedDisk),
}

export const sickDiskTests: readonly FaultTest[] = [fsyncgateReal, diskDies]

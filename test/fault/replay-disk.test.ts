import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Random } from './random.ts'
import { ReplayDisk } from './replay-disk.ts'
import type { DiskCall } from './strace-log.ts'

const at = (moment: number) => ({ began: moment, ended: moment })
const write = (moment: number, text: string, offset: number): DiskCall => {
  return { kind: 'write', ...at(moment), path: '/s/a', bytes: Buffer.from(text), offset }
}
const sync = (moment: number): DiskCall => ({ kind: 'sync', ...at(moment), path: '/s/a' })
const syncDirectory = (moment: number): DiskCall => ({ kind: 'sync-directory', ...at(moment), path: '/s' })

/** Every content that a hundred cuts leave; `undefined` where the file has no name. */
function contents(calls: readonly DiskCall[], ignoresSyncs = false): Set<string | undefined> {
  const into = mkdtempSync(join(tmpdir(), 'otel-audit-replay-'))
  const disk = new ReplayDisk('/s', new Random(1), ignoresSyncs)
  for (const call of calls) disk.play(call)
  const found = new Set<string | undefined>()
  for (let cut = 0; cut < 100; cut += 1) {
    disk.cut(into)
    found.add(readdirSync(into).includes('a') ? readFileSync(join(into, 'a'), 'latin1') : undefined)
  }
  rmSync(into, { recursive: true })
  return found
}

test('what was synced, name and all, is there after every cut', () => {
  assert.deepEqual(contents([write(1, 'abc', 0), sync(2), syncDirectory(3)]), new Set(['abc']))
})

test('without a sync of the directory the name may be gone, without one of the file its bytes', () => {
  assert.deepEqual(contents([write(1, 'abc', 0), sync(2)]), new Set(['abc', undefined]))
  const unsynced = contents([write(1, 'abc', 0), syncDirectory(2)])
  for (const one of ['abc', '', '\0\0\0']) assert.ok(unsynced.has(one), JSON.stringify(one))
  assert.ok(contents([write(1, 'abc', 0), sync(2), syncDirectory(3)], true).has(undefined), 'syncs that are ignored')
})

test('a sync covers only what was written before it began', () => {
  const overtaken: DiskCall = { kind: 'sync', began: 2, ended: 4, path: '/s/a' }
  const found = contents([write(1, 'abc', 0), syncDirectory(1.5), write(3, 'xyz', 512), overtaken])
  assert.ok([...found].every((one) => one?.startsWith('abc')))
  assert.ok(
    [...found].some((one) => !one?.endsWith('xyz')),
    'the later bytes may be lost',
  )
})

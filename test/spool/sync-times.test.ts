import assert from 'node:assert/strict'
import { test } from 'node:test'
import { diskFiles } from '../../src/spool/files.ts'
import { SyncTimes, timeSyncs } from '../../src/spool/sync-times.ts'

test('durations fall into cumulative buckets, the longest only into the total', () => {
  const times = new SyncTimes()
  for (const ms of [0.4, 1, 3, 11_000]) times.observe(ms)
  const seen = new SyncTimes(times.memory).read()
  const upTo = (seconds: number) => seen.buckets.find((bucket) => bucket.upToSeconds === seconds)?.count
  assert.deepEqual([upTo(0.000_5), upTo(0.001), upTo(0.002_5), upTo(0.005), upTo(10)], [1, 2, 2, 3, 3])
  assert.equal(seen.count, 4)
  assert.equal(seen.sumSeconds, 11.004_4)
})

test('every sync is timed, one that fails too, and still fails', () => {
  const times = new SyncTimes()
  const synced: number[] = []
  const files = {
    ...diskFiles,
    sync: (file: number) => {
      synced.push(file)
      if (file === 2) throw new Error('EIO')
    },
  }
  const timed = timeSyncs(files, times)
  timed.sync(1)
  assert.throws(() => timed.sync(2), /EIO/)
  assert.deepEqual(synced, [1, 2])
  assert.equal(times.read().count, 2)
})

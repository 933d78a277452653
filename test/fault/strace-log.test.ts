import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseLog } from './strace-log.ts'

const hex = (text: string): string =>
  [...Buffer.from(text)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')

test('a call that another thread overtook begins and ends where it did, and is one call', () => {
  const log = [
    `10  pwrite64(5<${hex('/s/seg')}>, "${hex('abc')}", 3, 4096 <unfinished ...>`,
    `11  fdatasync(5<${hex('/s/seg')}>) = -1 EIO (Input/output error)`,
    '10  <... pwrite64 resumed>)             = 3',
    `10  rename("${hex('/s/a.tmp')}", "${hex('/s/a')}") = 0`,
  ].join('\n')
  const bytes = Buffer.from('abc')
  assert.deepEqual(parseLog(log), [
    { kind: 'write', began: 0, ended: 2, path: '/s/seg', bytes, offset: 4_096, isSaid: false },
    { kind: 'sync', began: 1, ended: 1, path: '/s/seg', error: 'EIO' },
    { kind: 'rename', began: 3, ended: 3, path: '/s/a.tmp', to: '/s/a' },
  ])
})

test('a call that a kill cut off never ends, and a short write has written what it said', () => {
  const log = [
    `7 write(1<${hex('pipe:[1]')}>, "${hex('abcd')}", 4) = 2`,
    `7 fsync(3<${hex('/s')}> <unfinished ...>`,
  ].join('\n')
  const [said, sync] = parseLog(log)
  assert.equal(said?.bytes?.toString(), 'ab')
  assert.equal(said?.isSaid, true)
  assert.equal(sync?.kind, 'sync-directory')
  assert.equal(sync?.ended, Number.POSITIVE_INFINITY)
})

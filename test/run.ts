/**
 * Runs the tests: every `*.test.ts` below `test/`, or those whose path contains one of the arguments
 * (`npm test -- chain spool/lock`).
 * Always holds: a run without a test fails, and so does a test file without one; whatever was skipped is named
 * at the end with its reason; the run ends within its time limit. `node --test` alone takes every file below
 * `test/` for a test and calls a pattern without matches a success.
 */

import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'

const root = join(import.meta.dirname, '..')
const fileMinutesMax = 6
const runMinutesMax = 24

const filters = process.argv.slice(2)
const files = globSync('test/**/*.test.ts', { cwd: root })
  .filter((file) => filters.length === 0 || filters.some((part) => file.includes(part)))
  .sort()
  .map((file) => join(root, file))

const remarks: string[] = []
const tally = { passed: 0, failed: 0, skipped: 0 }
const deadline = AbortSignal.timeout(runMinutesMax * 60_000)

const events = run({
  files,
  cwd: root,
  concurrency: Math.max(2, availableParallelism() - 1),
  timeout: fileMinutesMax * 60_000,
  signal: deadline,
})

events.on('test:pass', ({ name, file, skip, todo }) => {
  // Node reports a file that registered no test as one passing test named after the file.
  if (name === file) fail(`no test in ${relative(root, name)}`)
  if (skip !== undefined) remarks.push(`skipped: ${name} (${skip === true ? 'no reason given' : skip})`)
  if (todo !== undefined) remarks.push(`to do: ${name}`)
})

events.on('test:fail', ({ todo, details }) => {
  if (todo === undefined && details.type !== 'suite') tally.failed += 1
})

events.on('test:summary', ({ file, counts }) => {
  if (file !== undefined) return // one file's share; the last summary is the whole run's
  tally.passed = counts.passed
  tally.skipped = counts.skipped + counts.todo
})

events.compose(spec).pipe(process.stdout)

process.on('exit', () => {
  if (deadline.aborted) fail(`stopped: the run took longer than ${runMinutesMax} minutes`)
  if (tally.passed === 0) fail(files.length === 0 ? `no test file matches ${filters.join(' ')}` : 'no test passed')
  for (const remark of remarks) console.log(remark)
  console.log(`${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`)
  if (tally.failed > 0) process.exitCode = 1
})

function fail(remark: string): void {
  tally.failed += 1
  remarks.push(remark)
}

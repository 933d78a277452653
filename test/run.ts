/**
 * Runs the tests: every `*.test.ts` below `test/`, or those whose path contains one of the arguments
 * (`npm test -- chain spool/lock`).
 * Always holds: a run without a test fails, and so does a test file without one; whatever was skipped is named
 * at the end with its reason; the run ends within its time limit. Up to three files that failed beside the others
 * are run once more, alone: what then passes is named as unstable, with both results to be read above. `node --test`
 * alone takes every file below `test/` for a test and calls a pattern without matches a success.
 */

import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'

const root = join(import.meta.dirname, '..')
const fileMinutesMax = 6
const runMinutesMax = 24
const repeatedFilesMax = 3

const filters = process.argv.slice(2)
const files = globSync('test/**/*.test.ts', { cwd: root })
  .filter((file) => filters.length === 0 || filters.some((part) => file.includes(part)))
  .sort()
  .map((file) => join(root, file))

const deadline = AbortSignal.timeout(runMinutesMax * 60_000)
const first = await runFiles(files, Math.max(2, availableParallelism() - 1))
const { failing } = first
let { passed, failed } = first

if (failing.length > 0 && failing.length <= repeatedFilesMax) {
  console.log(`once more, alone: ${failing.map((file) => relative(root, file)).join(', ')}`)
  const second = await runFiles(failing, 1)
  passed += Math.max(0, failed - second.failed)
  failed = second.failed
  for (const file of failing.filter((path) => !second.failing.includes(path)))
    first.remarks.push(`unstable: ${relative(root, file)} failed beside the others and passed alone`)
}
if (deadline.aborted) fail(`stopped: the run took longer than ${runMinutesMax} minutes`)
if (passed === 0) fail(files.length === 0 ? `no test file matches ${filters.join(' ')}` : 'no test passed')
for (const remark of first.remarks) console.log(remark)
console.log(`${passed} passed, ${failed} failed, ${first.skipped} skipped`)
if (failed > 0) process.exitCode = 1

function fail(remark: string): void {
  failed += 1
  first.remarks.push(remark)
}

/** Runs them and prints what they say. `failing` names the files in which something failed. */
async function runFiles(paths: readonly string[], concurrency: number) {
  const outcome = { passed: 0, skipped: 0, failed: 0, failing: [] as string[], remarks: [] as string[] }
  const events = run({ files: paths, cwd: root, concurrency, timeout: fileMinutesMax * 60_000, signal: deadline })

  events.on('test:pass', ({ name, file, skip, todo }) => {
    // Node reports a file that registered no test as one passing test named after the file.
    if (name === file) {
      outcome.failed += 1
      outcome.failing.push(name)
      outcome.remarks.push(`no test in ${relative(root, name)}`)
    }
    if (skip !== undefined) outcome.remarks.push(`skipped: ${name} (${skip === true ? 'no reason given' : skip})`)
    if (todo !== undefined) outcome.remarks.push(`to do: ${name}`)
  })
  events.on('test:fail', ({ todo, details }) => {
    if (todo === undefined && details.type !== 'suite') outcome.failed += 1
  })
  events.on('test:summary', ({ file, success, counts }) => {
    // One for each file, and the last for the whole run. A test may stand in another file than the one that is run.
    if (file !== undefined) {
      if (!success) outcome.failing.push(file)
      return
    }
    outcome.passed = counts.passed
    outcome.skipped = counts.skipped + counts.todo
  })

  for await (const text of events.compose(spec)) process.stdout.write(text)
  return outcome
}

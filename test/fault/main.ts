/**
 * `npm run test:fault [-- NAME…] [--list] [--short] [--json] [--write-docs]`: runs the fault tests, prints what each
 * injected and what survived, and writes the table of docs/reliability.md. Ends with 1 when one failed.
 */

import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { writeResults } from './document.ts'
import { type FaultResult, type FaultTest, formatCounts } from './fault.ts'
import { unmetNeed } from './needs.ts'
import { runFaultTest } from './runner.ts'
import { faultTests } from './tests.ts'

const usage = `Usage: npm run test:fault [-- NAME…] [--list] [--short] [--json] [--write-docs]

Injects faults into the real product and counts what survives. NAME is a test's name or the number of its row.

Options:
  --list        name the tests, and what keeps each from running here
  --short       the short form, as in every test run
  --json        print one JSON object for each test
  --write-docs  write the results into docs/reliability.md; tests that did not run keep their last result
`

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  options: {
    list: { type: 'boolean', default: false },
    short: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    'write-docs': { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

const chosen = faultTests.filter(
  ({ name, row }) => positionals.length === 0 || positionals.some((one) => one === name || one === row),
)
const unknown = positionals.filter((one) => !faultTests.some(({ name, row }) => one === name || one === row))
if (values.help) process.stdout.write(usage)
else if (unknown.length > 0) refuse(unknown)
else if (values.list) for (const test of chosen) process.stdout.write(`${describe(test)}\n`)
else await runAll()

function refuse(names: readonly string[]): void {
  process.stderr.write(`there is no fault test ${names.join(', ')}\n\n${usage}`)
  process.exitCode = 2
}

function describe(test: FaultTest): string {
  const skip = unmetNeed(test.needs)
  return `${test.row.padEnd(4)}${test.name.padEnd(20)}${test.promise}${skip === undefined ? '' : `\n    skipped here: ${skip}`}`
}

async function runAll(): Promise<void> {
  const stopping = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort())
  const results: FaultResult[] = []
  for (const test of chosen) {
    if (stopping.signal.aborted) break
    if (!values.json) process.stdout.write(`${test.row.padEnd(4)}${test.name.padEnd(20)}`)
    const size = values.short ? 'short' : 'long'
    // One after the other: each may fill disks and keep cores busy.
    const result = await runFaultTest(test, { size, signal: stopping.signal })
    results.push(result)
    process.stdout.write(values.json ? `${JSON.stringify(result)}\n` : `${formatResult(result)}\n`)
  }
  const count = (outcome: string) => results.filter((result) => result.outcome === outcome).length
  if (!values.json)
    process.stdout.write(`${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped\n`)
  if (values['write-docs']) {
    writeResults(join(import.meta.dirname, '../../docs/reliability.md'), results, values.short ? 'short' : 'long')
  }
  process.exit(count('failed') > 0 || stopping.signal.aborted ? 1 : 0) // a test that ran out of time may still hold on
}

function formatResult({ outcome, injected, survived, detail, reason, ms }: FaultResult): string {
  if (outcome === 'skipped') return `skipped: ${reason}`
  if (outcome === 'failed') return `FAILED after ${(ms / 1_000).toFixed(1)} s: ${reason?.slice(0, 2_000)}`
  const counts = `injected ${formatCounts(injected)}; survived ${formatCounts(survived)}`
  return `passed in ${(ms / 1_000).toFixed(1)} s: ${counts}${detail === '' ? '' : `. ${detail}`}`
}

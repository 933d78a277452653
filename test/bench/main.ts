/**
 * `npm run bench -- NAME... [--seconds N] [--rows N] [--json]`: runs benchmarks, prints their tables, each into its section of
 * `docs/benchmarks.md`. Progress goes to standard error.
 */

import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import type { Bench, BenchOptions } from './bench.ts'
import { deliver } from './deliver.ts'
import { writeSection } from './document.ts'
import { drain } from './drain.ts'
import { emit } from './emit.ts'
import { policy } from './policy.ts'
import { postgres } from './postgres.ts'
import { proof } from './proof.ts'
import { queries } from './queries.ts'
import { redact } from './redact.ts'
import { formatSection } from './report.ts'
import { spool } from './spool.ts'
import { verify } from './verify.ts'

const root = join(import.meta.dirname, '../..')
const benches: readonly Bench[] = [emit, deliver, drain, verify, proof, spool, policy, redact, postgres, queries]

const usage = `Usage: npm run bench -- NAME... [--seconds N] [--rows N] [--json]

NAME:
${benches.map(({ name, summary }) => `  ${name.padEnd(9)}${summary}`).join('\n')}

Options:
  --seconds N     how long the rounds of each may take together (there are at least three)
  --rows N        queries: store so many records; postgres: also remove a partition of so many (10 million take about
                  12 GB and some minutes)
  --json          print the report as JSON
  --out FILE      the document to write the section into (default: docs/benchmarks.md)
  --no-collector  send to a local HTTP server even where the collector is built
  --profile DIR   write CPU profiles of the contenders into DIR, and nothing into the document
  --smoke         one tiny round to see that it works; written only where --out says
`

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  allowNegative: true,
  options: {
    seconds: { type: 'string' },
    json: { type: 'boolean', default: false },
    out: { type: 'string' },
    rows: { type: 'string' },
    collector: { type: 'boolean', default: true },
    profile: { type: 'string' },
    smoke: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

const chosen = positionals.map((wanted) => benches.find(({ name }) => name === wanted))
const isKnown = chosen.length > 0 && !chosen.includes(undefined)
if (values.help) {
  process.stdout.write(usage)
} else if (!isKnown || !(Number(values.seconds ?? 1) > 0) || !/^[1-9]\d*$/.test(values.rows ?? '1')) {
  process.stderr.write(usage)
  process.exitCode = 2
} else {
  // One after the other: each has the machine to itself.
  for (const bench of chosen) if (bench !== undefined) await runBench(bench)
}

async function runBench(bench: Bench): Promise<void> {
  const { smoke, collector, profile, json } = values
  const seconds = Number(values.seconds ?? bench.secondsDefault)
  const onProgress = (line: string): void => void process.stderr.write(`${bench.name}: ${line}\n`)
  const rows = values.rows === undefined ? undefined : Number(values.rows)
  const options: BenchOptions = { seconds: smoke ? 0 : seconds, smoke, collector, profile, rows, onProgress }
  const report = await bench.run(options)
  const section = formatSection(report)
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : `${section}\n`)
  const document = values.out ?? (smoke || profile !== undefined ? undefined : join(root, 'docs/benchmarks.md'))
  if (document === undefined) return
  writeSection(document, bench.name, section)
  onProgress(`written to ${relative(process.cwd(), document)}`)
}

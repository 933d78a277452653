/**
 * `npm run test:tamper [-- KIND…] [--list] [--json] [--no-docs]`: tries every attack in every copy, prints the matrix,
 * and writes docs/tamper-matrix.md when all of it is as it must be. Ends with 1 when a cell is not. With `exhaustive` it
 * changes every single byte of a trail of 200 records instead.
 */

import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { startPostgres } from '../support/postgres.ts'
import { attackKinds, attacks } from './attacks.ts'
import { tryInThreads } from './bytes-threads.ts'
import { Copies } from './copies.ts'
import { writeBytes, writeMatrix } from './document.ts'
import { sourceTitles } from './exhaustive.ts'
import { type Cell, copies, runMatrix } from './matrix.ts'

const usage = `Usage: npm run test:tamper [-- KIND…] [--list] [--json] [--no-docs]
       npm run test:tamper -- exhaustive [--only SOURCE]… [--step N] [--every-bit] [--threads N] [--no-docs]

Tries every attack in every copy of a trail and compares what verification says with what it must say.
KIND is one of: ${attackKinds.join(', ')}. A run of all of them writes docs/tamper-matrix.md.
With exhaustive it changes each byte of a trail of 200 records, one after the other, in every source; that takes an
hour on two quiet cores. Its copies lie where TMPDIR says: in memory is best. A source whose every byte was tried gets its row in docs/tamper-matrix.md.

Options:
  --only SOURCE  ${sourceTitles.join(', ')}
  --step N       only every Nth byte
  --threads N    how many share the bytes of a source (default: all there are)
  --every-bit    each bit of a byte, not one of them
  --list     name the attacks
  --json     print one JSON object for each cell
  --no-docs  leave docs/tamper-matrix.md as it is
`

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  options: {
    list: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] as string[] },
    step: { type: 'string', default: '1' },
    threads: { type: 'string', default: String(availableParallelism()) },
    'every-bit': { type: 'boolean', default: false },
    'no-docs': { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

const isExhaustive = positionals[0] === 'exhaustive'
const unknown = isExhaustive
  ? [...positionals.slice(1), ...values.only.filter((title) => !sourceTitles.some((known) => known === title))]
  : positionals.filter((kind) => !attackKinds.some((known) => known === kind))
if (values.help) process.stdout.write(usage)
else if (unknown.length > 0) refuse(unknown)
else if (values.list) for (const { kind, name } of attacks) process.stdout.write(`${kind}: ${name}\n`)
else process.exitCode = (await (isExhaustive ? runBytes() : runAll())) ? 0 : 1

function refuse(kinds: readonly string[]): void {
  process.stderr.write(`there is no ${isExhaustive ? 'source' : 'kind of attack'} ${kinds.join(', ')}\n\n${usage}`)
  process.exitCode = 2
}

async function runAll(): Promise<boolean> {
  const server = await startPostgres()
  const places = new Copies(server.url)
  const cells: Cell[] = []
  try {
    const isWanted = ({ kind }: { kind: string }): boolean => positionals.length === 0 || positionals.includes(kind)
    for await (const cell of runMatrix(places, isWanted)) {
      cells.push(cell)
      process.stdout.write(values.json ? `${JSON.stringify(toJson(cell))}\n` : formatCell(cell))
    }
  } finally {
    await places.close()
    await server.stop()
  }
  const wrong = cells.filter(({ complaint }) => complaint !== undefined)
  const tried = cells.filter(({ shown }) => shown !== '—')
  if (!values.json) process.stdout.write(`\n${tried.length} cells, ${wrong.length} not as they must be\n`)
  if (wrong.length === 0 && positionals.length === 0 && !values['no-docs']) writeMatrix()
  return wrong.length === 0 && cells.length > 0
}

/** Every byte of the sources that are wanted. */
async function runBytes(): Promise<boolean> {
  const { step, threads, only, 'every-bit': everyBit, 'no-docs': noDocs } = values
  let missed = 0
  // One after the other: each has all the threads.
  for (const title of sourceTitles.filter((one) => only.length === 0 || only.includes(one))) {
    const startMs = performance.now()
    const onProgress = sayNowAndThen((tried) => `${title}: ${tried} bytes after ${secondsSince(startMs)} s\n`)
    const server = title === 'PostgreSQL' ? await startPostgres() : undefined
    try {
      const share = { title, threads: Number(threads), step: Number(step), everyBit, onProgress }
      const tally = await tryInThreads({ ...share, server: server?.url })
      missed += tally.missed.length
      process.stdout.write(`${JSON.stringify({ ...tally, seconds: secondsSince(startMs) })}\n`)
      if (step === '1' && tally.missed.length === 0 && !noDocs) writeBytes(tally)
    } finally {
      await server?.stop()
    }
  }
  return missed === 0
}

function secondsSince(startMs: number): number {
  return Math.round((performance.now() - startMs) / 1_000)
}

function sayNowAndThen(sentence: (tried: number) => string): (tried: number) => void {
  let saidMs = performance.now()
  return (tried) => {
    if (performance.now() - saidMs < 10_000) return
    saidMs = performance.now()
    process.stderr.write(sentence(tried))
  }
}

function toJson({ attack, copy, shown, complaint }: Cell): object {
  const { kind, name, undetectable = false } = attack
  return { kind, name, copy, shown, undetectable, ...(complaint !== undefined && { complaint }) }
}

/** The name of the attack stands above its cells. */
function formatCell({ attack, copy, shown, complaint }: Cell): string {
  const title =
    copy === copies[0] ? `\n${attack.kind}: ${attack.name}${attack.undetectable ? ' (not detectable)' : ''}\n` : ''
  return `${title}  ${copy.padEnd(12)}${shown}${complaint === undefined ? '' : `   WRONG: ${complaint}`}\n`
}

/**
 * `npm run test:tamper [-- KIND…] [--list] [--json] [--no-docs]`: tries every attack in every copy, prints the matrix,
 * and writes docs/tamper-matrix.md when all of it is as it must be. Ends with 1 when a cell is not.
 */

import { parseArgs } from 'node:util'
import { startPostgres } from '../support/postgres.ts'
import { attackKinds, attacks } from './attacks.ts'
import { Copies } from './copies.ts'
import { writeMatrix } from './document.ts'
import { type Cell, copies, runMatrix } from './matrix.ts'

const usage = `Usage: npm run test:tamper [-- KIND…] [--list] [--json] [--no-docs]

Tries every attack in every copy of a trail and compares what verification says with what it must say.
KIND is one of: ${attackKinds.join(', ')}. A run of all of them writes docs/tamper-matrix.md.

Options:
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
    'no-docs': { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

const unknown = positionals.filter((kind) => !attackKinds.some((known) => known === kind))
if (values.help) process.stdout.write(usage)
else if (unknown.length > 0) refuse(unknown)
else if (values.list) for (const { kind, name } of attacks) process.stdout.write(`${kind}: ${name}\n`)
else process.exitCode = (await runAll()) ? 0 : 1

function refuse(kinds: readonly string[]): void {
  process.stderr.write(`there is no kind of attack ${kinds.join(', ')}\n\n${usage}`)
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

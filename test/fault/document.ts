/**
 * docs/reliability.md: the prose stays, the parts between markers are written here: the table of results, the totals,
 * what was found. A test that was not run keeps its last row, so that one can be repeated alone.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { readMachine } from '../bench/machine.ts'
import { type FaultResult, formatCounts } from './fault.ts'
import { found } from './found.ts'
import { faultTests } from './tests.ts'

/** The results of a run as they stand in the document, each with the day of its run. */
interface DatedResult extends FaultResult {
  readonly date: string
  readonly size: 'short' | 'long'
}

const dataMarker = 'results, as JSON'

export function writeResults(path: string, results: readonly FaultResult[], size: 'short' | 'long'): void {
  const document = readFileSync(path, 'utf8')
  writeFileSync(path, withResults(document, results, size))
}

/** The document with these results in the place of older ones of the same tests. */
export function withResults(document: string, results: readonly FaultResult[], size: 'short' | 'long'): string {
  const date = new Date().toISOString().slice(0, 10)
  const known = new Map(readResults(document).map((result) => [result.name, result]))
  for (const result of results) known.set(result.name, { ...result, date, size })
  const all = faultTests.map(({ name }) => known.get(name)).filter((result) => result !== undefined)
  let written = document
  written = replaceSection(written, 'fault tests', formatTable(all))
  written = replaceSection(written, 'totals', formatTotals(all))
  written = replaceSection(written, 'found', formatFound())
  return replaceSection(written, 'machine', formatMachineLine())
}

/** The table is its own memory: the numbers stand in a comment behind it. */
function readResults(document: string): DatedResult[] {
  const begin = `<!-- ${dataMarker}: `
  const from = document.indexOf(begin)
  if (from < 0) return []
  return JSON.parse(document.slice(from + begin.length, document.indexOf(' -->', from))) as DatedResult[]
}

function formatTable(results: readonly DatedResult[]): string {
  const rows = results.map((result) => {
    const { row, name, promise, outcome, injected, survived, detail, reason, size } = result
    const what =
      outcome === 'skipped'
        ? `skipped: ${reason}`
        : outcome === 'failed'
          ? `**failed**: ${firstLine(reason)}`
          : 'passed'
    const told = [formatCounts(survived), detail].filter((part) => part !== '').join('. ')
    const form = size === 'short' ? ' (short form)' : ''
    return [row, `\`${name}\``, promise, `${what}${form}`, formatCounts(injected), told]
  })
  const head = ['row', 'test', 'what it promises', 'result', 'injected', 'survived']
  const table = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.map(escapeCell).join(' | ')} |`)
  return `${table.join('\n')}\n\n<!-- ${dataMarker}: ${JSON.stringify(results).replaceAll('--', '\\u002d\\u002d')} -->`
}

function escapeCell(cell: string): string {
  return cell.replaceAll('|', '\\|').replaceAll('\n', ' ')
}

function firstLine(reason = ''): string {
  return reason.split('\n')[0] ?? ''
}

/** Injected counts of all tests, summed by what they are. */
function formatTotals(results: readonly DatedResult[]): string {
  const sums = new Map<string, number>()
  const passed = results.filter(({ outcome }) => outcome === 'passed')
  for (const { injected } of passed)
    for (const [what, count] of Object.entries(injected)) sums.set(what, (sums.get(what) ?? 0) + count)
  const histories = passed.reduce((sum, { survived }) => sum + (survived['histories without a broken promise'] ?? 0), 0)
  const count = (outcome: string) => results.filter((result) => result.outcome === outcome).length
  const lines = [...sums]
    .toSorted(([, one], [, other]) => other - one)
    .map((pair) => `- ${formatCounts(Object.fromEntries([pair]))}`)
  const simulated = histories === 0 ? [] : [`- ${histories.toLocaleString('en-US')} simulated histories`]
  const head = `${passed.length} tests passed, ${count('failed')} failed, ${count('skipped')} skipped. Injected in all:`
  return `${head}\n\n${[...simulated, ...lines].join('\n')}`
}

function formatFound(): string {
  const rows = found.map(({ by, bug, test }) => `| ${by} | ${bug} | [${test.split('/').at(-1)}](../${test}) |`)
  return ['| noticed by | what it was | where it cannot come back |', '| --- | --- | --- |', ...rows].join('\n')
}

function formatMachineLine(): string {
  const { cpu, cores, node, system, date } = readMachine()
  return `Last written on ${date}: ${cpu}, ${cores} cores, ${system}, Node ${node}.`
}

function replaceSection(document: string, name: string, section: string): string {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`]
  const from = document.indexOf(begin)
  const to = document.indexOf(end, from)
  if (from < 0 || to < 0) throw new Error(`the document has no section ${name}`)
  return `${document.slice(0, from)}${begin}\n${section}\n${document.slice(to)}`
}

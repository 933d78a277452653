/**
 * What a benchmark says: figures, ratios and how they stand against the aims. Printed, written as JSON, and written
 * as one section of `docs/benchmarks.md`.
 */

import { type Figures, medianOf, type Rounds } from './figures.ts'
import { formatMachine, type Machine } from './machine.ts'

/** A column of a table. `figure` names what the contenders measured. */
export interface Column {
  readonly figure: string
  readonly title: string
  readonly digits: number
  /** Where a report has several tables: the title of the one it stands in. */
  readonly table?: string | undefined
}

/** Where the product must end, and where it stands. */
export interface Aim {
  readonly what: string
  readonly found: number
  readonly unit: string
  readonly limit: number
  /** The aim is met at or below the limit, or at or above it. */
  readonly side: 'atMost' | 'atLeast'
}

export interface BenchReport {
  readonly bench: string
  readonly title: string
  /** As typed to repeat it. */
  readonly command: string
  readonly machine: Machine
  readonly rounds: number
  /** What was done and what is compared with what: sentences. */
  readonly compared: readonly string[]
  readonly columns: readonly Column[]
  /** Medians over the rounds, by contender, in the order of the table. */
  readonly figures: Readonly<Record<string, Figures>>
  readonly aims: readonly Aim[]
}

/** Medians of the columns for each contender, `contenders` giving order and titles. */
export function medians(rounds: Rounds, contenders: Readonly<Record<string, string>>, columns: readonly Column[]) {
  const rows = Object.entries(contenders).map(([name, title]) => {
    const figures = columns.map(({ figure }) => [figure, medianOf(rounds, name, figure)] as const)
    return [title, Object.fromEntries(figures)] as const
  })
  return Object.fromEntries(rows)
}

export function isMet({ found, limit, side }: Aim): boolean {
  return side === 'atMost' ? found <= limit : found >= limit
}

/** The section of the document, without its markers. */
export function formatSection(report: BenchReport): string {
  const { title, machine, command, rounds, compared } = report
  const intro = `Medians of ${rounds} rounds; in each round the contenders took turns, one after the other.`
  return [
    `## ${title}`,
    `${formatMachine(machine)} ${intro}`,
    `\`\`\`sh\n${command}\n\`\`\``,
    ...formatTables(report),
    report.aims.map(formatAim).join('\n'),
    compared.join(' '),
  ]
    .filter((part) => part !== '')
    .join('\n\n')
}

function formatTables({ columns, figures }: BenchReport): string[] {
  const tables = Map.groupBy(columns, ({ table }) => table ?? '')
  return [...tables].map(([title, own]) => formatTable(title, own, figures))
}

/** Whoever has none of a table's figures is not in it. */
function formatTable(title: string, columns: readonly Column[], figures: BenchReport['figures']): string {
  const measured = Object.entries(figures).filter(([, row]) => columns.some(({ figure }) => isKnown(row[figure])))
  const rows = measured.map(([title, row]) => {
    return [title, ...columns.map(({ figure, digits }) => formatNumber(row[figure], digits))]
  })
  const head = [title, ...columns.map((column) => column.title)]
  const rule = ['---', ...columns.map(() => '---:')]
  return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function formatAim(aim: Aim): string {
  const { what, found, unit, limit, side } = aim
  const bound = `${side === 'atMost' ? 'at most' : 'at least'} ${limit} ${unit}`
  return `- ${what}: **${formatNumber(found, unit === '×' ? 2 : 1)} ${unit}**; aim ${bound}: ${isMet(aim) ? 'met' : 'missed'}.`
}

function formatNumber(value: number | undefined, digits: number): string {
  if (!isKnown(value)) return '–'
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

function isKnown(value: number | undefined): value is number {
  return value !== undefined && !Number.isNaN(value)
}

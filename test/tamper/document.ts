/** docs/tamper-matrix.md: the prose stays, the tables between the markers are written from a run. */

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FuzzResult } from '../fuzz/fuzz.ts'
import { type Attack, attackKinds, attacks, type Copy, expectedIn } from './attacks.ts'
import type { ByteTally } from './bytes.ts'
import { copies } from './matrix.ts'

export const documentPath = join(import.meta.dirname, '../../docs/tamper-matrix.md')

const titles: Readonly<Record<Copy, string>> = {
  spool: 'spool',
  postgres: 'PostgreSQL',
  ndjson: 'NDJSON',
  'ndjson.gz': 'NDJSON, gzip',
  otlp: 'OTLP JSON',
  stdin: 'standard input',
  archive: 'archive',
}

/** What each attack must give, as the document shows it. */
export function formatMatrix(): string {
  const head = ['what was done', ...copies.map((copy) => titles[copy])]
  const sections = attackKinds.map((kind) => {
    const rows = attacks.filter((attack) => attack.kind === kind).map(rowOf)
    return `### ${kind[0]?.toUpperCase()}${kind.slice(1)}\n\n${formatTable([head, ...rows])}`
  })
  return sections.join('\n\n')
}

/** Writes the matrix; throws where the document has lost its markers. */
export function writeMatrix(): void {
  writeFileSync(documentPath, withMatrix(readFileSync(documentPath, 'utf8')))
}

/** Writes what came of damaged input. */
export function writeFuzz(results: readonly FuzzResult[], seed: number): void {
  const head = ['parser', 'inputs', 'taken for sound', 'the slowest, ms']
  const rows = results.map(({ name, inputs, believed, slowestMs }) => {
    return [name, inputs.toLocaleString('en-US'), believed.toLocaleString('en-US'), slowestMs.toFixed(0)]
  })
  const text = `${formatTable([head, ...rows])}\n\nSeed ${seed}, Node ${process.version}.`
  writeFileSync(documentPath, withSection(readFileSync(documentPath, 'utf8'), 'fuzz', text))
}

/** The document with the matrix of this code in it. */
export function withMatrix(document: string): string {
  return withSection(document, 'matrix', formatMatrix())
}

function withSection(document: string, name: string, text: string): string {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`]
  const [from, to] = [document.indexOf(begin), document.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`docs/tamper-matrix.md has no section for the ${name}`)
  return `${document.slice(0, from)}${begin}\n\n${text}\n\n${document.slice(to)}`
}

const bytesHead = ['source', 'changes', 'a finding', 'unreadable', 'in the final checkpoint', 'beside the records']

/** Puts what came of every byte of one source in its row. */
export function writeBytes(tally: ByteTally): void {
  const document = readFileSync(documentPath, 'utf8')
  const [from, to] = [document.indexOf('<!-- bytes -->'), document.indexOf('<!-- end of bytes -->')]
  const { title, tried, findings, unreadable, uncovered, beside } = tally
  const row = [title, ...[tried, findings, unreadable, uncovered, beside].map((count) => count.toLocaleString('en-US'))]
  const rows = document
    .slice(from, to)
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| ---') && !line.startsWith('| source '))
    .map((line) => line.slice(2, -2).split(' | '))
    .filter(([name]) => name !== title)
  const table = formatTable([bytesHead, ...[...rows, row].sort(([one = ''], [other = '']) => (one < other ? -1 : 1))])
  writeFileSync(documentPath, withSection(document, 'bytes', table))
}

function rowOf(attack: Attack): string[] {
  const name = attack.undetectable ? `${attack.name} **(not detectable)**` : attack.name
  return [name, ...copies.map((copy) => cellOf(attack, copy))]
}

function cellOf(attack: Attack, copy: Copy): string {
  const expected = expectedIn(attack, copy)
  if (expected === undefined) return '—'
  const verdicts = expected.finds.length > 0 ? groupAlike(expected.finds) : [`${expected.verdict}`]
  return verdicts.map((verdict) => verdict.replace(/^\w+/, (word) => `\`${word}\``)).join(', ')
}

/** `PROJECTION_MISMATCH 31, PROJECTION_MISMATCH 32` shows as one verdict with two numbers. */
function groupAlike(finds: readonly string[]): string[] {
  const numbers = new Map<string, string[]>()
  for (const found of finds) {
    const [verdict = '', ...rest] = found.split(' ')
    numbers.set(verdict, [...(numbers.get(verdict) ?? []), ...rest])
  }
  return [...numbers].map(([verdict, rest]) => `${verdict} ${rest.join(', ')}`.trim())
}

function formatTable(rows: readonly (readonly string[])[]): string {
  const [head = [], ...others] = rows
  return [head, head.map(() => '---'), ...others].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

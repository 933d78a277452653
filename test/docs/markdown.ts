/** Reads the project's documents as far as tests need it: fenced blocks with the comment above them, table rows. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export const root = join(import.meta.dirname, '../..')

/** A fenced block. */
export interface Fence {
  /** The text of the HTML comment on the line above, such as `file: test/vectors/records/vkey`; empty without one. */
  readonly marker: string
  readonly language: string
  /** Without the fences, with the last newline. */
  readonly text: string
}

export function readDocument(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

/** Every fenced block of a document, in order. */
export function fencesOf(document: string): Fence[] {
  const pattern = /(?:^<!-- ([^\n]*) -->\n)?^```(\w*)\n(.*?)^```$/gms
  return [...document.matchAll(pattern)].map(([, marker = '', language = '', text = '']) => ({
    marker,
    language,
    text,
  }))
}

/** The cells of the first table whose header begins with these names, one array a row. */
export function tableOf(document: string, ...names: readonly string[]): string[][] {
  const lines = document.split('\n')
  const start = lines.findIndex((line) => names.every((name, index) => cellsOf(line)[index] === name))
  if (start === -1) throw new Error(`no table with the columns ${names.join(', ')}`)
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('|'))
  return lines.slice(start + 2, end === -1 ? undefined : end).map(cellsOf)
}

/** What stands in back quotes in a cell or a text, in order. */
export function quotedIn(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, quoted]) => quoted ?? '')
}

function cellsOf(line: string): string[] {
  if (!line.startsWith('|')) return []
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim())
}

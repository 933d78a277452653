/**
 * `docs/benchmarks.md`: one section for each benchmark between markers of its own. Only the benchmark that ran is
 * replaced; everything else stays, byte for byte.
 */

import { existsSync, readFileSync, writeFileSync } from 'node:fs'

const head = `# Benchmarks

Written by \`npm run bench -- NAME\`; do not edit the sections. Ratios travel from machine to machine, times do not: all
contenders of a table were measured in one run on one machine, each in a process of its own, taking turns.
`

/** Puts the section of `name` in the place of the old one, or behind everything else. */
export function replaceSection(document: string, name: string, section: string): string {
  const [begin, end] = [`<!-- bench ${name} -->`, `<!-- end of bench ${name} -->`]
  const marked = `${begin}\n${section}\n${end}`
  const from = document.indexOf(begin)
  const to = document.indexOf(end, from)
  if (from < 0 || to < 0) return `${document.trimEnd()}\n\n${marked}\n`
  return document.slice(0, from) + marked + document.slice(to + end.length)
}

/** Writes the section into the document at `path`, which is made if it is not there. */
export function writeSection(path: string, name: string, section: string): void {
  const document = existsSync(path) ? readFileSync(path, 'utf8') : head
  writeFileSync(path, replaceSection(document, name, section))
}

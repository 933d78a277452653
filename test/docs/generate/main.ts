/** `npm run docs`: writes every document, or part of one, that is made from the code. A test holds them against it. */

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../markdown.ts'
import { documents } from './documents.ts'

for (const { path, make } of documents) {
  const file = join(root, path)
  const before = readIfThere(file)
  const after = make(before)
  if (after === before) continue
  writeFileSync(file, after)
  console.log(`wrote ${path}`)
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** The decisions under docs/adr are numbered without gaps or repeats and have the form that its README gives. */

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { readDocument, root } from './markdown.ts'

const names = readdirSync(join(root, 'docs/adr')).filter((name) => name !== 'README.md')
const sections = ['## Context', '## Decision', '## Figures', '## Consequences']

it('decisions are numbered from 0001, each number once', () => {
  const numbers = names.map((name) => /^(\d{4})-[a-z0-9-]+\.md$/.exec(name)?.[1])
  assert.deepEqual(
    numbers.toSorted(),
    names.map((_, index) => String(index + 1).padStart(4, '0')),
  )
})

for (const name of names) {
  it(`${name} has a title with its number, a status with a date, and four sections in order`, () => {
    const text = readDocument(`docs/adr/${name}`)
    assert.match(text, new RegExp(`^# ${name.slice(0, 4)}\\. \\S`))
    assert.match(text, /^Status: (?:accepted|superseded by \d{4}) · \d{4}-\d{2}$/m)
    assert.deepEqual(text.match(/^## .*$/gm), sections)
  })
}

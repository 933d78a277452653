/** What is made from the code is as the code makes it: `npm run docs` would change nothing. */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { blocks } from './generate/blocks.ts'
import { documents } from './generate/documents.ts'
import { readDocument } from './markdown.ts'

for (const { path, make } of documents) {
  it(`${path} is as "npm run docs" makes it`, () => {
    const current = readDocument(path)
    assert.equal(current, make(current))
  })
}

it('a block without its maker and a maker without its block are errors', () => {
  const make = blocks({ one: () => 'made' })
  assert.equal(make('<!-- made: one -->\nold\n<!-- end -->'), '<!-- made: one -->\n\nmade\n\n<!-- end -->')
  assert.throws(() => make('no block'), /no block for one/)
  assert.throws(() => make('<!-- made: two -->\n<!-- end -->'), /nothing makes the block two/)
})

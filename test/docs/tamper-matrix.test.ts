/** docs/tamper-matrix.md against the attacks: what stands in it is what the tests demand. */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { withMatrix } from '../tamper/document.ts'
import { readDocument } from './markdown.ts'

it('the document shows every attack and what it must give (npm run test:tamper writes it)', () => {
  const document = readDocument('docs/tamper-matrix.md')
  assert.equal(document, withMatrix(document))
})

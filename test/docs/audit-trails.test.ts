/** docs/audit-trails.md against the code: every setting that users of tool gateways know, with its default. */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { formatText } from '../../src/audit/environment.ts'
import { variables } from '../../src/audit/variables.ts'
import { quotedIn, readDocument, tableOf } from './markdown.ts'

const rows = tableOf(readDocument('docs/audit-trails.md'), 'variable', 'default', 'behaviour')

it('every AUDIT_TRAIL_ variable is explained', () => {
  const explained = rows.flatMap(([name = '']) => quotedIn(name)).filter((name) => name.startsWith('AUDIT_TRAIL_'))
  const known = variables.map(({ name }) => name).filter((name) => name.startsWith('AUDIT_TRAIL_'))
  assert.deepEqual(explained.toSorted(), known.toSorted())
})

it('the defaults are those of the code', () => {
  for (const [name = '', text = ''] of rows) {
    const variable = variables.find((one) => `\`${one.name}\`` === name)
    assert.ok(variable !== undefined, name)
    const { byDefault, note } = variable.setting
    const written = note.otherwise === undefined ? formatText(byDefault) : ''
    assert.equal(quotedIn(text)[0] ?? '', written, name)
  }
})

/** docs/collector.md tells of every trap and every configuration that there is, in the words of the code. */

import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { trapRules } from '../../src/cli/collector/traps.ts'
import { quotedIn, readDocument, root, tableOf } from './markdown.ts'

const document = readDocument('docs/collector.md')

function sectionOf(name: string): string {
  const [begin, end] = [`<!-- ${name} -->\n`, `<!-- end of ${name} -->`]
  return document.slice(document.indexOf(begin) + begin.length, document.indexOf(end))
}

/** The rules as a table; this is what the document must hold. */
function formatTraps(): string {
  const head = ['trap', 'where', 'setting', 'when it is not set', 'why records are lost', 'what to set']
  const rows = trapRules.map(({ id, kind, types, setting, unset, why, remedy }) => [
    `\`${id}\``,
    types === undefined ? `every one of ${kind}` : `${kind}: ${types.map((type) => `\`${type}\``).join(', ')}`,
    setting === '' ? '' : `\`${setting}\``,
    unset,
    why,
    remedy,
  ])
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('')
}

test('every trap stands in the table, as the linter says it', () => {
  assert.equal(sectionOf('traps'), formatTraps())
})

test('every configuration stands in the table of configurations', () => {
  const names = tableOf(sectionOf('configurations'), 'file').flatMap(([cell = '']) => quotedIn(cell))
  const shipped = globSync('{sidecar,gateway,agent}*.yaml', { cwd: join(root, 'collector-config') })
  assert.deepEqual(names.toSorted(), shipped.toSorted())
})

test('every trap that docs and configurations allow by name is a trap', () => {
  const ids = new Set(trapRules.map(({ id }) => id))
  for (const [, id = ''] of document.matchAll(/otel-audit-allow ([a-z-]+)/g)) assert.ok(ids.has(id), id)
})

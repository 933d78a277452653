/** The alert rules that we ship: promtool takes them, and every metric in them is one of ours. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'

const folder = join(import.meta.dirname, '../collector-config/prometheus')
const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'))
const sources = join(import.meta.dirname, '../src/audit')
const hasPromtool = spawnSync('promtool', ['--version']).status === 0

it('promtool takes them', { skip: !hasPromtool && 'promtool is not installed (Debian: prometheus)' }, () => {
  assert.ok(files.length > 0)
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', ...files], {
    cwd: folder,
    encoding: 'utf8',
  })
  assert.equal(status, 0, `${stdout}${stderr}`)
})

it('they name metrics that exist', () => {
  const definitions = readdirSync(sources)
    .filter((name) => name.includes('metric'))
    .map((name) => readFileSync(join(sources, name), 'utf8'))
    .join('\n')
  for (const file of files) {
    const expressions = readFileSync(join(folder, file), 'utf8').match(/^\s+expr: .*$/gm) ?? []
    assert.ok(expressions.length > 0, file)
    for (const name of expressions.join(' ').match(/\baudit_[a-z_]+/g) ?? [])
      assert.ok(definitions.includes(`'${name}'`), `${file}: ${name}`)
  }
})

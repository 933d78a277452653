/** docs/verify.md against the code: every verdict with its exit code, and every command it shows. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { it } from 'node:test'
import { command } from '../../src/cli/verify.ts'
import { benignVerdicts, findingsMax, findingVerdicts, unverifiedVerdicts } from '../../src/verify/report.ts'
import { quotedIn, readDocument, root, tableOf } from './markdown.ts'

const document = readDocument('docs/verify.md')

it('every verdict is explained, with its exit code, in the order of its weight', () => {
  const documented = tableOf(document, 'verdict', 'exit').map(([verdict = '', exit]) => [quotedIn(verdict)[0], exit])
  assert.deepEqual(documented, [
    ...benignVerdicts.map((verdict) => [verdict, '0']),
    ...findingVerdicts.map((verdict) => [verdict, '1']),
    ...unverifiedVerdicts.map((verdict) => [verdict, '2']),
  ])
  assert.ok(document.replace(/\s+/g, ' ').includes(`At most ${findingsMax} findings`))
})

it('the options it names are those of the command', () => {
  const named = new Set(document.match(/--(?!name\b)[a-z-]+[a-z]/g))
  for (const option of named) assert.ok('help' in command && command.help.includes(option), option)
  for (const option of command.help.match(/^ {2}--[a-z-]+/gm) ?? []) assert.ok(named.has(option.trim()), option)
})

it('a frozen trail verifies with its key, is unanchored without, and a changed byte is named', () => {
  const records = 'test/vectors/records'
  const trail = readDocument(`${records}/trail.ndjson`)
  const verify = (input: string, ...argv: string[]) => {
    const all = [join(root, 'src/cli/main.ts'), 'verify', '-', '--json', ...argv]
    const run = spawnSync(process.execPath, all, { cwd: root, input, encoding: 'utf8', timeout: 20_000 })
    return [run.status, JSON.parse(run.stdout).verdict]
  }
  assert.deepEqual(verify(trail, '--vkey', `${records}/vkey`), [0, 'INTACT'])
  assert.deepEqual(verify(trail), [1, 'UNANCHORED'])
  assert.deepEqual(verify(trail.replace('"42"', '"43"'), '--vkey', `${records}/vkey`), [1, 'CONTENT_TAMPERED'])
})

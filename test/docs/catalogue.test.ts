/** docs/catalogue.md against the code: its programs compile, run and print what they say; its tables are complete. */

import assert from 'node:assert/strict'
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { eventsIn } from '../audit/opened.ts'
import { fencesOf, quotedIn, readDocument, root, tableOf } from './markdown.ts'

const document = readDocument('docs/catalogue.md')
const fences = fencesOf(document)
const folder = mkdtempSync(join(tmpdir(), 'otel-audit-catalogue-'))
after(() => rmSync(folder, { recursive: true }))

before(() => {
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const source = pathToFileURL(join(root, 'src/index.ts')).href
  for (const { marker, text } of fences) {
    if (!marker.startsWith('file: ')) continue
    writeFileSync(join(folder, marker.slice('file: '.length)), text.replace("'otel-audit'", `'${source}'`))
  }
})

it('the programs compile', () => {
  const paths = { 'otel-audit': [join(root, 'src/index.ts')] }
  for (const { marker, text } of fences.filter(({ language }) => language === 'ts')) {
    writeFileSync(join(folder, marker.replace('file: ', 'typed-')), text.replaceAll("'./", "'./typed-"))
  }
  const files = ['typed-program.ts', 'typed-read.ts']
  const compilerOptions = { noEmit: true, rootDir: '/', paths, typeRoots: [join(root, 'node_modules/@types')] }
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ extends: join(root, 'tsconfig.json'), compilerOptions, include: [], files }),
  )
  const run = runNode(join(root, 'node_modules/typescript/bin/tsc'), '-p', '.')
  assert.equal(run.status, 0, run.stdout)
})

it('the program runs, and its events become the records that are shown', () => {
  const run = runNode('program.ts')
  assert.deepEqual([run.status, run.stdout, run.stderr], [0, '', ''])
  // The program's spool lies where the options say nothing else.
  symlinkSync(join(folder, 'audit-spool'), join(folder, 'spool'))
  const records = eventsIn(folder)
  assert.deepEqual(
    records.map(({ action, validation }) => [action, validation === undefined]),
    [
      ['invoice.delete', true],
      ['invoice.delete', false],
      ['coffee.made', true],
    ],
  )
  const shown = fences.find(({ marker }) => marker === 'members: 1')
  const members = JSON.parse(shown?.text ?? '') as Record<string, unknown>
  const record: Record<string, unknown> = records[1] ?? {}
  assert.deepEqual(members, Object.fromEntries(Object.keys(members).map((name) => [name, record[name]])))
})

it('the reader prints what its comments say', () => {
  const run = runNode('read.ts')
  assert.deepEqual([run.status, run.stderr], [0, ''])
  const said = [...(fences.find(({ marker }) => marker === 'file: read.ts')?.text ?? '').matchAll(/\) \/\/ (.+)$/gm)]
  assert.deepEqual(
    run.stdout.trim().split('\n'),
    said.map(([, text]) => text),
  )
})

it('the commands run on the catalogue', () => {
  const block = fences.find(({ language }) => language === 'sh')
  const commandLine = `otel-audit() { "${process.execPath}" "${join(root, 'src/cli/main.ts')}" "$@"; }\n`
  const run = spawnSync('bash', ['-ec', `${commandLine}${block?.text}\ncat audit-schema.md`], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 60_000,
  })
  assert.equal(run.status, 0, run.stderr)
  assert.match(run.stdout, /^### `invoice\.delete`$/m)
})

it('the members of a definition are all named', () => {
  const named = tableOf(document, 'member', 'meaning').flatMap(([names = '']) => quotedIn(names))
  const [, body = ''] = /const memberRules: .*? = \{\n(.*?)^\}/ms.exec(readDocument('src/event/catalogue.ts')) ?? []
  const members = [...body.matchAll(/^ {2}(\w+): /gm)].map(([, name]) => name)
  assert.ok(members.length > 5)
  assert.deepEqual(named.toSorted(), members.toSorted())
})

it('the rules and problems are all named', () => {
  const check = readDocument('src/event/catalogue-check.ts') + readDocument('src/event/standard-schema.ts')
  const rules = new Set([...check.matchAll(/'(schema:[a-z_]+)'/g)].map(([, rule]) => rule))
  const named = new Set(quotedIn(document.replace(/^```.*?^```$/gms, '')))
  assert.deepEqual(
    [...rules].filter((rule) => !named.has(rule ?? '')),
    [],
  )
  const union = /readonly rule: ([^\n]+)/.exec(readDocument('src/event/upcast.ts'))?.[1] ?? ''
  const problems = tableOf(document, '`problem.rule`').map(([rule = '']) => quotedIn(rule)[0])
  assert.deepEqual(problems.toSorted(), [...union.matchAll(/'(\w+)'/g)].map(([, rule]) => rule).toSorted())
})

function runNode(...argv: readonly string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, argv, { cwd: folder, encoding: 'utf8', timeout: 60_000 })
}

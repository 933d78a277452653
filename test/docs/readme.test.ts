/** The README's program and commands run as they stand, and its table of commands is complete. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { Command, CommandGroup } from '../../src/cli/command.ts'
import { commands } from '../../src/cli/commands.ts'
import { fencesOf, quotedIn, readDocument, root, tableOf } from './markdown.ts'

const document = readDocument('README.md')
const fences = fencesOf(document)
const folder = mkdtempSync(join(tmpdir(), 'otel-audit-readme-'))
after(() => rmSync(folder, { recursive: true }))

describe('the first program', () => {
  it('has fifteen lines and runs as it stands', () => {
    const program = fences.find(({ language }) => language === 'ts')?.text ?? ''
    assert.equal(program.trimEnd().split('\n').length, 15)
    const source = pathToFileURL(join(root, 'src/index.ts')).href
    writeFileSync(join(folder, 'program.ts'), program.replace("'otel-audit'", `'${source}'`))
    const run = spawnSync(process.execPath, ['program.ts'], { cwd: folder, encoding: 'utf8', timeout: 30_000 })
    assert.equal(run.status, 0, run.stderr)
    assert.equal(run.stdout, 'written\n')
    assert.equal(run.stderr, '', 'it needs no warning')
    assert.match(readFileSync(join(folder, 'audit.ndjson'), 'utf8'), /"action":"invoice\.delete"/)
  })

  it('is followed by commands that find its trail intact', () => {
    const block = fences.find(({ language, text }) => language === 'sh' && text.startsWith('otel-audit'))
    const commandLine = `otel-audit() { "${process.execPath}" "${join(root, 'src/cli/main.ts')}" "$@"; }\n`
    const run = spawnSync('bash', ['-ec', commandLine + block?.text], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 60_000,
    })
    assert.equal(run.status, 0, run.stderr)
    assert.match(run.stdout, /audit\.ndjson \(ndjson\): INTACT, 4 records/)
    assert.match(run.stdout, /audit-spool \(spool\): INTACT, 4 records/)
  })
})

it('the table of commands names them all, and no other', async () => {
  const loaded = await Promise.all(commands.map(({ load }) => load()))
  const names = loaded.flatMap(({ command }) => namesOf(command))
  const listed = tableOf(document, 'command', 'what it does').map(([cell = '']) => quotedIn(cell)[0] ?? '')
  const words = listed.map((text) => text.replace(/^otel-audit /, '').replace(/ [A-Z].*$/, ''))
  assert.deepEqual(words.sort(), names.sort())
})

it('every promise links to a test by its name', () => {
  const promises = tableOf(document, 'It promises').map(([promise = '']) => promise)
  assert.ok(promises.length > 4)
  for (const promise of promises) {
    const links = [...promise.matchAll(/\[([^\]]+)\]\((test\/[\w/-]+\.test\.ts)\)/g)]
    assert.ok(links.length > 0, promise)
    for (const [, name = '', file = ''] of links) {
      assert.ok(readDocument(file).includes(name), `${file} has no test named "${name}"`)
    }
  }
})

function namesOf(command: Command | CommandGroup): string[] {
  return 'commands' in command ? command.commands.map(({ name }) => name) : [command.name]
}

/** What the documents tell a reader to type or to open exists. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'

const root = join(import.meta.dirname, '../..')
const documents = globSync(['*.md', '{docs,examples,collector-config}/**/*.md'], { cwd: root }).sort()
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }

interface Line {
  readonly where: string
  readonly text: string
}

describe('the documents', () => {
  it('link to files that exist', () => {
    const broken = linesOf().flatMap(({ where, text }) =>
      [...text.matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g)]
        .map(([, target]) => target ?? '')
        .filter((target) => !existsSync(join(root, dirname(where.replace(/:\d+$/, '')), target)))
        .map((target) => `${where}: ${target}`),
    )
    assert.deepEqual(broken, [])
  })

  it('name npm scripts that exist', () => {
    const builtIn = new Set(['test'])
    const unknown = linesOf().flatMap(({ where, text }) =>
      [...text.matchAll(/\bnpm (?:run )?(?:--silent )?([a-z][\w:-]*)/g)]
        .filter(([command, name]) => command.startsWith('npm run') || builtIn.has(name ?? ''))
        .filter(([, name]) => scripts[name ?? ''] === undefined)
        .map(([command]) => `${where}: ${command}`),
    )
    assert.deepEqual(unknown, [])
  })

  it('name test and script files that exist', () => {
    const named = /(?<![\w/.-])((?:src|test|examples|collector-config|\.ci)\/[\w./-]*[\w/])/g
    const missing = linesOf().flatMap(({ where, text }) =>
      [...text.matchAll(named)]
        .map(([, path]) => path ?? '')
        .filter((path) => !/NAME/.test(path) && !existsSync(join(root, path)))
        .map((path) => `${where}: ${path}`),
    )
    assert.deepEqual(missing, [])
  })

  it('show commands of otel-audit that it has, with options that its help names', () => {
    const commands = linesOf().flatMap(({ where, text }) => {
      const found = /^\s*(?:\$ )?(?:npx )?otel-audit ((?:[a-z]+ ?){1,2})(.*)$/.exec(text)
      return found === null ? [] : [{ where, command: (found[1] ?? '').trim(), rest: found[2] ?? '' }]
    })
    const wrong = commands.flatMap(({ where, command, rest }) => {
      const help = helpOf(command)
      if (help === undefined) return [`${where}: otel-audit ${command} has no help`]
      const options = rest.replace(/#.*/, '').match(/(?<!\S)--[a-z][\w-]*/g) ?? []
      return options.filter((option) => !help.includes(option)).map((option) => `${where}: ${command} ${option}`)
    })
    assert.deepEqual(wrong, [])
  })
})

/** Every line of every document, but not the changelog: what it names may be gone. */
function linesOf(): Line[] {
  return documents
    .filter((path) => path !== 'CHANGELOG.md')
    .flatMap((path) =>
      readFileSync(join(root, path), 'utf8')
        .split('\n')
        .map((text, index) => ({ where: `${path}:${index + 1}`, text })),
    )
}

/** The help of a command; words that are arguments and not part of its name are left off until there is one. */
function helpOf(command: string): string | undefined {
  const words = command.split(' ')
  for (let count = words.length; count > 0; count -= 1) {
    const argv = [join(root, 'src/cli/main.ts'), ...words.slice(0, count), '--help']
    const { status, stdout } = spawnSync(process.execPath, argv, { encoding: 'utf8', timeout: 20_000 })
    if (status === 0) return stdout
  }
  return undefined
}

/** The house rules, held over the whole repository; below, each rule is shown what it must find. */

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { functionsOf, importsOf, readSource } from './support/source-text.ts'
import * as tidy from './support/tidy-rules.ts'

const root = join(import.meta.dirname, '..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const sources = globSync('src/**/*.ts', { cwd: root })
  .sort()
  .map((path) => tidy.sourceOf(path, read(path)))

describe('the sources', () => {
  const holds = (name: string, violations: () => readonly tidy.Violation[]): void => {
    it(name, () => assert.equal(violations().join('\n'), ''))
  }
  it('are there', () => assert.ok(sources.length > 5, `${sources.length} files in src`))
  holds('import downwards only', () => sources.flatMap(tidy.floorViolations))
  holds('import without circles', () => tidy.circleViolations(sources))
  holds('keep files, functions and parameter lists short', () => sources.flatMap(tidy.sizeViolations))
  holds('reach disk, clock, process and database through their single doors', () =>
    sources.flatMap(tidy.doorViolations),
  )
  holds('re-export in the index only', () => sources.flatMap(tidy.barrelViolations))
  holds('begin with a head of at most eight lines', () => sources.flatMap(tidy.headViolations))
  holds('have names that say what they hold', () =>
    globSync('{src,test,examples}/**/*.ts', { cwd: root }).flatMap(tidy.nameViolations),
  )
})

describe('the repository', () => {
  it('names no folder of one machine', () => {
    const tracked = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' })
      .split('\0')
      .filter((path) => path !== '' && existsSync(join(root, path)))
    assert.ok(tracked.length > 10)
    assert.equal(tracked.flatMap((path) => tidy.machinePathViolations(path, read(path))).join('\n'), '')
  })

  it('has a lock file that leaves the choice of registry to the user', () => {
    assert.doesNotMatch(read('package-lock.json'), /"resolved"/)
  })
})

describe('the linter', () => {
  it('refuses any, non-null assertions, default exports, enums, namespaces and parameter properties', (context) => {
    const planted = `export default class A { constructor(private readonly b: any) { b!.c() } }
export enum E { A }
export namespace N { export const a = 1 }
`
    const folder = mkdtempSync(join(tmpdir(), 'otel-audit-lint-'))
    context.after(() => rmSync(folder, { recursive: true }))
    writeFileSync(join(folder, 'planted.ts'), planted)
    const options = [`--config-path=${root}`, '--vcs-enabled=false', '--max-diagnostics=none', '--reporter=github']
    const { stdout } = spawnSync(join(root, 'node_modules/.bin/biome'), ['lint', ...options, folder], {
      encoding: 'utf8',
    })
    const rules = [
      'noExplicitAny',
      'noNonNullAssertion',
      'noDefaultExport',
      'noEnum',
      'noNamespace',
      'noParameterProperties',
    ]
    const missed = rules.filter(
      (rule) => !new RegExp(`^::error title=lint/\\w+/${rule},file=\\S*planted\\.ts`, 'm').test(stdout),
    )
    assert.deepEqual(missed, [])
  })
})

describe('a planted violation is found', () => {
  const planted = (path: string, text: string): tidy.Source => tidy.sourceOf(path, text)
  const floor = (path: string, specifier: string): string =>
    tidy.floorViolations(planted(path, `/** Head. */\nimport { a } from '${specifier}'\n`)).join('\n')

  it('an import that goes up, sideways, out of src or from the ground', () => {
    assert.match(
      floor('src/chain/hash.ts', '../spool/spool.ts'),
      /^src\/chain\/hash\.ts:2: chain may not import src\/spool/,
    )
    assert.match(floor('src/chain/hash.ts', '../policy/level.ts'), /chain may not import/)
    assert.match(floor('src/chain/hash.ts', '../../test/support/a.ts'), /chain may not import/)
    assert.match(floor('src/errors.ts', './limits.ts'), /ground may not import/)
    assert.match(floor('src/event/record.ts', '../index.ts'), /event may not import/)
    assert.match(floor('src/widgets/a.ts', '../errors.ts'), /widgets is no room/)
  })

  it('and an import that goes down or stays in its room is not', () => {
    assert.equal(floor('src/spool/spool.ts', '../chain/hash.ts'), '')
    assert.equal(floor('src/spool/spool.ts', './files.ts'), '')
    assert.equal(floor('src/spool/spool.ts', '../errors.ts'), '')
    assert.equal(floor('src/index.ts', './audit/audit.ts'), '')
    assert.equal(floor('src/spool/spool.ts', 'zod'), '')
  })

  it('an upward import of types, a dynamic one, one for its effects', () => {
    for (const statement of [
      "import type { A } from '../cli/main.ts'",
      "await import('../cli/main.ts')",
      "import '../cli/main.ts'",
    ]) {
      assert.match(
        tidy.floorViolations(planted('src/event/a.ts', statement)).join('\n'),
        /^src\/event\/a\.ts:1: /,
        statement,
      )
    }
  })

  it('a circle of imports', () => {
    const circle = [
      planted('src/a/one.ts', "import { two } from './two.ts'\n"),
      planted('src/a/two.ts', "import { three } from '../b/three.ts'\n"),
      planted('src/b/three.ts', "import { one } from '../a/one.ts'\n"),
    ]
    assert.deepEqual(tidy.circleViolations(circle), [
      'src/a/one.ts:1: circle src/a/one.ts → src/a/two.ts → src/b/three.ts → src/a/one.ts',
    ])
    assert.deepEqual(tidy.circleViolations(circle.slice(0, 2)), [])
  })

  it('a file, a function or a parameter list that is too long', () => {
    const body = 'a()\n'.repeat(59)
    const size = (text: string): string => tidy.sizeViolations(planted('src/a.ts', text)).join('\n')
    assert.equal(size('a()\n'.repeat(300)), '')
    assert.equal(size('a()\n'.repeat(301)), 'src/a.ts:301: 301 lines, at most 300')
    assert.equal(size(`\nfunction f(): void {\n${body}}\n`), 'src/a.ts:2: f has 61 lines, at most 60')
    assert.equal(size(`function f(): void {\n${'a()\n'.repeat(58)}}\n`), '')
    assert.equal(size('function f(a: A, b: B<C, D>, c: (x: X, y: Y) => Z): void {}'), '')
    assert.equal(
      size('const f = async (a: A, b: B, c: C, d = 1): Promise<void> => {}'),
      'src/a.ts:1: f takes 4 parameters, at most 3',
    )
  })

  it('a door used from elsewhere', () => {
    const door = (path: string, text: string): string => tidy.doorViolations(planted(path, text)).join('\n')
    for (const text of [
      "import { readFileSync } from 'node:fs'",
      "import { open } from 'fs/promises'",
      'const now = Date.now()',
      'const now = new Date()',
      'performance.now()',
      'console.log(1)',
      'const { env } = process',
      "process.on('exit', f)",
      "const q = 'insert into audit.record values ($1)'",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the text of a source
      'const q = `select record from ${table} where a = 1`.concat("select a from b")',
    ]) {
      assert.match(door('src/policy/level.ts', text), /^src\/policy\/level\.ts:1: .+ has doors of its own/, text)
    }
    assert.equal(door('src/spool/files.ts', "import { openSync } from 'node:fs'"), '')
    assert.equal(door('src/postgres/records.ts', "const q = 'select a from b'"), '')
    assert.equal(
      door('src/policy/level.ts', "// Date.now()\nconst a = 'console.log' + record.process.id\nnew Date(0)"),
      '',
    )
  })

  it('a barrel, a name without meaning, a missing or long head', () => {
    assert.match(
      tidy.barrelViolations(planted('src/a.ts', "export * from './b.ts'")).join(),
      /^src\/a\.ts:1: only src\/index/,
    )
    assert.match(
      tidy.barrelViolations(planted('src/a.ts', "\nexport type { B } from './b.ts'")).join(),
      /^src\/a\.ts:2:/,
    )
    assert.deepEqual(
      tidy.barrelViolations(planted('src/a.ts', "import { B } from './b.ts'\nexport const c = B.from('d')")),
      [],
    )
    assert.match(tidy.nameViolations('src/utils/a.ts').join(), /utils says nothing/)
    assert.match(tidy.nameViolations('test/chain/helpers.test.ts').join(), /helpers says nothing/)
    assert.match(tidy.nameViolations('src/chain/hashTree.ts').join(), /kebab-case/)
    assert.match(
      tidy.headViolations(planted('src/a.ts', "import { b } from './b.ts'\n/** Late. */")).join(),
      /begins with/,
    )
    assert.match(
      tidy.headViolations(planted('src/a.ts', `/**\n${' * Word.\n'.repeat(9)} */\n`)).join(),
      /9 lines, at most 8/,
    )
    assert.deepEqual(tidy.headViolations(planted('src/a.ts', `/**\n${' * Word.\n'.repeat(8)} */\n`)), [])
    assert.deepEqual(tidy.headViolations(planted('src/cli/main.ts', '#!/usr/bin/env node\n/** Head. */\n')), [])
  })

  it('a path of one machine', () => {
    const path = (folder: string): string => tidy.machinePathViolations('a.md', `see\n ${folder}\n`).join()
    for (const parts of [
      ['root', '.cache'],
      ['home', 'ada', 'x'],
      ['Users', 'Ada'],
      ['work', 'main'],
    ]) {
      assert.match(path(`/${parts.join('/')}`), /^a\.md:2: /)
    }
    const [relative, address] = [['src', 'work', 'root.ts'].join('/'), ['https://example.com', 'home', ''].join('/')]
    assert.equal(path(`${relative} and ${address}`), '')
  })
})

describe('the reader of sources', () => {
  it('takes no literal for code, and no code for a literal', () => {
    const text = [
      "const a = 'it\\'s { ' + \"}\" // {",
      'const b = `{ $' + '{ f({ c: `}` }) } {` /* { */',
      'const d = /[/{]\\/{/.test(e) ? 4 / 2 / g : h[0] / 2',
      'return /{/',
    ].join('\n')
    const { code } = readSource(text)
    assert.equal(code.length, text.length)
    assert.equal(code.replace(/[^{}]/g, ''), '{{}}')
    assert.match(code, /\? 4 \/ 2 \/ g : h\[0\] \/ 2/)
  })

  it('finds every kind of function with a body, and nothing else', () => {
    const text = `
      export async function* one<T>(a: T): AsyncGenerator<{ b: T }> { if (a) { } }
      const two = (a: string): a is 'b' => { for (const c of a) { } }
      class C { get three(): { a: 1 } | undefined { return } constructor(a: A) { } #four(): [a: string] { } }
      const o = { five: async () => { }, six() { } }
      interface I { no(a: A): { b: B }; nor(): void }
      switch (x) { case (1): { } }
      while (x) { } for await (const y of z(1)) { } try { } catch (e) { }
      const seven = (a: A) => ({ a })
      a ? (b) : c
    `
    const names = functionsOf(readSource(text)).map(({ name }) => name)
    assert.deepEqual(names, ['one', 'two', 'three', 'constructor', '#four', 'five', 'six', 'seven'])
  })

  it('finds imports, and not the word in other places', () => {
    const text =
      "import a from 'a'\nimport {\n b,\n} from \"b\"\nexport { c } from 'c'\nBuffer.from('d')\n// from 'e'\nimport.meta.url"
    assert.deepEqual(
      importsOf(readSource(text)).map(({ specifier, line, reexport }) => [specifier, line, reexport]),
      [
        ['a', 1, false],
        ['b', 4, false],
        ['c', 5, true],
      ],
    )
  })
})

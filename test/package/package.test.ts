/** The package as its users get it: packed, installed into an empty project, imported, required, compiled and run. */

import assert from 'node:assert/strict'
import { globSync, mkdtempSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Consumer, createConsumer, manifest, run } from './consumer.ts'

const root = join(import.meta.dirname, '../..')
let consumer: Consumer
before(() => {
  consumer = createConsumer()
})
after(() => consumer?.remove())

describe('the tarball', () => {
  it('holds every compiled source with its declarations and its map', () => {
    const modules = globSync('**/*.ts', { cwd: join(root, 'src') }).map((path) => `dist/${path.slice(0, -3)}`)
    const expected = modules.flatMap((path) => [`${path}.js`, `${path}.d.ts`, `${path}.js.map`])
    assert.deepEqual(missing(expected), [])
  })

  it('holds the migrations, and whatever exports and bin name', () => {
    const migrations = globSync('postgres/migrations/*.sql', { cwd: join(root, 'src') }).map((path) => `dist/${path}`)
    const targets = [...Object.values(manifest.exports), ...Object.values(manifest.bin)]
    const named = targets.flatMap((target) => (typeof target === 'string' ? [target] : Object.values(target)))
    assert.deepEqual(missing([...migrations, ...named.map((path) => path.replace(/^\.\//, ''))]), [])
  })

  it('holds what a reader needs, and neither tests nor sources that Node would refuse to run', () => {
    assert.deepEqual(missing(['README.md', 'LICENSE', 'CHANGELOG.md']), [])
    const allowed =
      /^(?:package\.json|README\.md|LICENSE|CHANGELOG\.md|(?:dist|docs|collector-config|examples\/verify-elsewhere)\/.+)$/
    const refused = /\.test\.|(?<!\.d)\.ts$|\.pem$|\.key$/
    assert.deepEqual(
      consumer.packed.filter((path) => !allowed.test(path) || refused.test(path)),
      [],
    )
  })

  it('has source maps that hold their sources', () => {
    const map = readFileSync(join(consumer.folder, 'node_modules/otel-audit/dist/index.js.map'), 'utf8')
    const { sourcesContent } = JSON.parse(map) as { sourcesContent?: string[] }
    assert.deepEqual(sourcesContent, [readFileSync(join(root, 'src/index.ts'), 'utf8')])
  })

  function missing(paths: readonly string[]): string[] {
    return paths.filter((path) => !consumer.packed.includes(path))
  }
})

describe('the installed package', () => {
  it('can be imported and required, on the oldest Node it names and on this one', () => {
    const isClass = "if (new AuditError('CLOSED', 'm', { hint: 'h' }).code !== 'CLOSED') process.exit(1)"
    for (const node of consumer.nodes) {
      run(node, ['--input-type=module', '-e', `import { AuditError } from 'otel-audit'; ${isClass}`], consumer.folder)
      run(
        node,
        ['--input-type=commonjs', '-e', `const { AuditError } = require('otel-audit'); ${isClass}`],
        consumer.folder,
      )
    }
    assert.match(
      run(consumer.nodes[0] ?? '', ['--version'], consumer.folder),
      new RegExp(manifest.engines.node.replace(/^>=/, '^v')),
    )
  })

  it('ends by itself after an import: nothing is opened until asked', () => {
    // The SDK looks at standard output when it is imported, which makes a pipe's handle.
    const others = "process.getActiveResourcesInfo().filter((one) => one !== 'PipeWrap').length"
    const handles = `import 'otel-audit'; console.log(${others})`
    assert.equal(run(process.execPath, ['--input-type=module', '-e', handles], consumer.folder).trim(), '0')
  })

  it('seals, delivers and verifies with the compiled worker, on the oldest Node it names and on this one', () => {
    const program = join(consumer.folder, 'program.mjs')
    const commandLine = realpathSync(join(consumer.folder, 'node_modules/.bin/otel-audit'))
    writeFileSync(program, emittingProgram)
    for (const node of consumer.nodes) {
      const folder = mkdtempSync(join(consumer.folder, 'run-'))
      assert.deepEqual(JSON.parse(run(node, [program], folder)), { statuses: ['written', 'written', 'written'] })
      for (const source of ['spool', 'audit.ndjson']) {
        run(node, [commandLine, 'verify', source, '--vkey', 'vkey'], folder)
      }
      const actions = [...readFileSync(join(folder, 'audit.ndjson'), 'utf8').matchAll(/"action":"(invoice\.\w+)"/g)]
      assert.deepEqual(
        actions.map(([, action]) => action),
        ['invoice.create', 'invoice.read', 'invoice.delete'],
      )
    }
  })

  it('has declarations that a strict compiler accepts, the programs of the README included', () => {
    const blocks = [...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/^```ts\n(.*?)^```$/gms)]
    const programs = blocks.map(([, program]) => program ?? '').filter((program) => program.includes("'otel-audit'"))
    assert.notEqual(programs.length, 0, 'README.md shows no program')
    const files = programs.map((program, index) => {
      const file = `readme-${index + 1}.ts`
      writeFileSync(join(consumer.folder, file), program)
      return file
    })
    writeFileSync(join(consumer.folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: strictOptions, files }))
    run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', '.'], consumer.folder)
  })
})

const strictOptions = {
  target: 'es2023',
  lib: ['es2023', 'esnext.disposable'],
  module: 'nodenext',
  types: ['node'],
  noEmit: true,
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: false,
}

const emittingProgram = `
import { writeFileSync } from 'node:fs'
import { createAudit } from 'otel-audit'

const audit = createAudit({
  service: 'billing',
  spool: { directory: 'spool' },
  policy: { level: 'all' },
  destinations: [{ type: 'file', path: 'audit.ndjson' }],
})
const receipts = ['create', 'read', 'delete'].map((operation) =>
  audit.emit({ action: 'invoice.' + operation, operation, actor: { type: 'user', id: 'u-1' }, outcome: 'success' }),
)
await Promise.all(receipts.map((receipt) => receipt.durable))
await audit.flush()
await audit.close()
writeFileSync('vkey', audit.verifierKey + '\\n')
console.log(JSON.stringify({ statuses: receipts.map((receipt) => receipt.status) }))
`

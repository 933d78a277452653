import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { commands } from '../../src/cli/commands.ts'
import { mainFile, runCli } from './run.ts'

const all = await Promise.all(commands.map(async (row) => ({ row, command: (await row.load()).command })))
const single = all.flatMap(({ command }) => ('commands' in command ? command.commands : [command]))

test('the table of commands says what the commands say of themselves', () => {
  for (const { row, command } of all) {
    assert.equal(command.name, row.name)
    assert.equal(command.summary, row.summary)
    if ('commands' in command) for (const { name } of command.commands) assert.ok(name.startsWith(`${row.name} `), name)
  }
})

test('the overview lists every command, and asking for it is no mistake', async () => {
  for (const argv of [['--help'], ['-h'], ['help']]) {
    const { exitCode, stdout, stderr } = await runCli(argv)
    assert.deepEqual([exitCode, stderr], [0, ''])
    for (const { row } of all) assert.ok(stdout.includes(`  ${row.name} `) && stdout.includes(row.summary), row.name)
  }
})

test('every command has a help of its own, with usage, options and examples that call it', async () => {
  for (const { name, help } of single) {
    assert.ok(help.startsWith(`Usage: otel-audit ${name} `), name)
    assert.match(help, /\n {2}-h, --help/, name)
    assert.match(help, new RegExp(`\\nExamples:\\n(  .*otel-audit ${name} .*\\n)+$`), name)
  }
  const [{ name, help } = assert.fail()] = single
  for (const argv of [
    [...name.split(' '), '--help'],
    [...name.split(' '), '--unknown', '-h'],
    ['help', ...name.split(' ')],
  ])
    assert.deepEqual(await runCli(argv), { exitCode: 0, stdout: help, stderr: '' })
})

test('a group without its second word shows the help of the whole group', async () => {
  const asked = await runCli(['key', '--help'])
  assert.equal(asked.exitCode, 0)
  assert.match(asked.stdout, /otel-audit key new[\s\S]*otel-audit key public/)
  assert.deepEqual(await runCli(['key']), { exitCode: 2, stdout: '', stderr: asked.stdout })
})

test('without any word the overview goes to standard error and the exit code is 2', async () => {
  const { exitCode, stdout, stderr } = await runCli([])
  assert.deepEqual([exitCode, stdout], [2, ''])
  assert.match(stderr, /^otel-audit: [\s\S]*Usage: otel-audit COMMAND/)
})

test('the version is that of the package', async () => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  assert.deepEqual(await runCli(['--version']), { exitCode: 0, stdout: `${version}\n`, stderr: '' })
})

const mistakes: readonly (readonly [argv: readonly string[], message: string, hint: string])[] = [
  [['kye'], 'unknown command "kye"', 'did you mean: otel-audit key'],
  [
    ['--frobnicate'],
    'unknown command "--frobnicate"',
    `the commands are: ${commands.map(({ name }) => name).join(', ')}`,
  ],
  [['key', 'pubic'], 'unknown command "key pubic"', 'did you mean: otel-audit key public'],
  [['key', 'new', '--nmae', 'x'], 'unknown option --nmae', 'did you mean --name?'],
  [['key', 'new', '-q'], 'unknown option -q', 'run the command with --help for its options and examples'],
  [['key', 'new', '--name'], '--name needs a value', 'write --name=VALUE when the value begins with a dash'],
  [['key', 'new', '--name', '--json'], '--name needs a value', 'write --name=VALUE when the value begins with a dash'],
  [['key', 'new', '--json=yes'], '--json takes no value', 'run the command with --help for its options and examples'],
  [['key', 'new', 'prod'], 'unexpected argument prod', 'run the command with --help for its options and examples'],
  [
    ['key', 'new', '--name=', '--out=x'],
    '--name is missing',
    'run the command with --help for its options and examples',
  ],
]
for (const [argv, message, hint] of mistakes) {
  test(`"${argv.join(' ')}" is answered with what is wrong and what to do, and exit code 2`, async () => {
    const stderr = `otel-audit: ${message}\n  hint: ${hint}\n`
    assert.deepEqual(await runCli(argv), { exitCode: 2, stdout: '', stderr })
  })
}

test('the stack is shown only on request', async () => {
  const { exitCode, stderr } = await runCli(['kye'], { OTEL_AUDIT_DEBUG: '1' })
  assert.equal(exitCode, 2)
  assert.match(stderr, /\n {4}at /)
})

test('a reader that leaves before the end is not answered with a stack trace', async () => {
  const child = spawn(process.execPath, [mainFile, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] })
  child.stdout.destroy()
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const exitCode = await new Promise((resolve) => child.once('close', resolve))
  assert.deepEqual([exitCode, stderr], [2, ''])
})

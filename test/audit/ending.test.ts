import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventsIn, freshFolder, openAudit } from './opened.ts'

const face = new URL('../../src/index.ts', import.meta.url).href

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program with `audit` opened in `folder`; what it printed and how it ended. */
function runProgram(folder: string, body: string): Promise<Ended> {
  const program = `import { createAudit } from ${JSON.stringify(face)}
    const audit = createAudit({ spool: { directory: ${JSON.stringify(join(folder, 'spool'))} }, policy: { level: 'all' },
      destinations: [{ type: 'otlp', endpoint: 'http://127.0.0.1:9' }], closeTimeoutMs: 300 })
    ${body}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })))
}

/** Opens the trail again, as the next start does, and closes it: what was written is durable then. */
async function actionsAfterRestart(folder: string): Promise<string[]> {
  await openAudit(folder).close()
  return eventsIn(folder).map((record) => record.action)
}

const endings = [
  ['plain end of the script', '', 0],
  ['process.exit', 'process.exit(3)', 3],
  ['an uncaught exception', 'throw new Error("boom")', 1],
  ['a rejection that nobody handles', 'Promise.reject(new Error("boom"))', 1],
] as const

for (const [name, body, code] of endings) {
  test(`${name}: the program ends by itself, and what was emitted is there`, async (t) => {
    const folder = freshFolder(t)
    const ended = await runProgram(
      folder,
      `for (let at = 0; at < 50; at += 1) audit.emit({ action: 'a' + at })\n${body}`,
    )
    assert.equal(ended.code, code, ended.stderr)
    assert.deepEqual(
      await actionsAfterRestart(folder),
      Array.from({ length: 50 }, (_, at) => `a${at}`),
    )
  })
}

test('a program that awaits durability ends with exit code 0 and not before', async (t) => {
  const folder = freshFolder(t)
  const ended = await runProgram(
    folder,
    `const receipt = audit.emit({ action: 'a' })\nawait receipt.durable\nconsole.log('durable', audit.state.durable >= receipt.sequence)`,
  )
  assert.equal(ended.code, 0, ended.stderr)
  assert.equal(ended.stdout, 'durable true\n')
})

test('a program that closes ends by its deadline although the destination is down', async (t) => {
  const folder = freshFolder(t)
  const ended = await runProgram(folder, `audit.emit({ action: 'a' })\nawait audit.close()\nconsole.log('closed')`)
  assert.equal(ended.code, 0, ended.stderr)
  assert.equal(ended.stdout, 'closed\n')
})

test('after close an event goes to standard error as one line, and its receipt says so', async (t) => {
  const folder = freshFolder(t)
  const ended = await runProgram(
    folder,
    `await audit.close()
     const receipt = audit.emit({ action: 'late', details: { password: 'geheim' } })
     console.log(receipt.status, audit.state.emergencies, await receipt.durable.catch((error) => error.code))`,
  )
  assert.equal(ended.stdout, 'emergency 1 CLOSED\n')
  const line = ended.stderr.split('\n').find((one) => one.startsWith('{')) ?? ''
  const record = JSON.parse(line) as Record<string, unknown>
  assert.deepEqual(
    [record.action, record.details, record.emergency],
    ['late', { password: '[REDACTED]' }, 'audit is closed'],
  )
  for (const member of ['stream', 'seq', 'prev']) assert.ok(!(member in record), member)
})

test('an emergency receipt that nobody looks at does not end the process', async (t) => {
  const folder = freshFolder(t)
  const ended = await runProgram(
    folder,
    `await audit.close()\naudit.emit({ action: 'late' }).durable\nsetTimeout(() => console.log('alive'), 50)`,
  )
  assert.equal(ended.stdout, 'alive\n')
})

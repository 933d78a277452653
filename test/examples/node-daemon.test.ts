/** The daemon with a compliance log as a user runs it: every event type, nothing that must not be told, every file kept. */

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { type LoggedRecord, leaksIn } from '../../examples/node-daemon/compliance-log.ts'
import { observe } from '../../examples/node-daemon/observations.ts'
import { Checkout, type Ran } from './checkout.ts'

const cycles = 1000
const lives = 2

let checkout: Checkout
let dir: string
let ran: Ran
let text: string
let records: readonly LoggedRecord[]

before(async () => {
  checkout = new Checkout()
  dir = join(checkout.path, 'out')
  const options = ['--cycles', String(cycles), '--dir', dir]
  ran = await checkout.run('npm', 'run', '--silent', 'example:node-daemon', '--', ...options)
  assert.equal(ran.exitCode, 0, `${ran.stdout}${ran.stderr}`)
  text = logFiles().map(readText).join('')
  records = text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as LoggedRecord]))
})
after(() => checkout[Symbol.dispose]())

describe('npm run example:node-daemon', () => {
  it('logs every event type of a compliance log, each as often as it happened', () => {
    const { actions, verified, unlinkedFindings, leaks, invalid, whileOff } = readSummary()
    assert.deepEqual(actions, {
      'daemon.start': lives,
      'bpf.load': lives * 2,
      'ai.call miss': lives * 3,
      'ai.call hit': lives * (cycles * 0.75 - 3),
      'ai.call error': (lives * cycles) / 4,
      'finding.emit': (lives * cycles) / 2,
      'auth.failure': 3,
      'config.reload': 2,
      'daemon.panic': 1,
      'daemon.stop': 1,
    })
    assert.deepEqual({ verified, unlinkedFindings, leaks, invalid, whileOff }, intact)
    const seen = records.filter(({ event_type }) => event_type === 'audit').length
    assert.equal(
      Object.values(actions).reduce((sum, count) => sum + count, 0),
      seen,
    )
  })

  it('closes files by their size, deletes none, and lets nobody else read them', () => {
    const names = logFiles()
    assert.ok(names.length >= 3, names.join())
    const numbers = names.slice(0, -1).map((name) => /^audit\.ndjson\.(\d{6})(?:\.gz)?$/.exec(name)?.[1])
    assert.deepEqual(
      numbers,
      numbers.map((_, index) => String(index + 1).padStart(6, '0')),
    )
    assert.match(names[0] ?? '', /\.gz$/, 'the last one may still be on its way there')
    for (const name of names) {
      assert.equal(statSync(join(dir, name)).mode & 0o777, 0o600, name)
      assert.ok(Buffer.byteLength(readText(name)) <= 2 ** 20, `${name} is larger than AUDIT_LOG_FILE_MAX_MB`)
    }
    assert.match(readText(names[0] ?? ''), /^\{.*"event_type":"audit\.stream\.opened"/)
    assert.doesNotMatch(text, /audit\.file\.deleted/)
  })

  it('is verified by the command line over all its files, which finds a record of a closed file that was changed', async () => {
    const verify = (folder: string) => {
      const argv = ['verify', join(folder, 'audit.ndjson'), '--vkey', join(dir, 'vkey'), '--json']
      return checkout.run(process.execPath, 'dist/cli/main.js', ...argv)
    }
    const report = JSON.parse((await verify(dir)).stdout)
    assert.deepEqual([report.verdict, report.records], ['INTACT', records.length])

    const forged = join(checkout.path, 'forged')
    mkdirSync(forged)
    for (const name of logFiles()) cpSync(join(dir, name), join(forged, name))
    const first = logFiles()[0] ?? ''
    const changed = readText(first).replace('"severity":"CRITICAL"', '"severity":"WARNING"')
    writeFileSync(join(forged, first), gzipSync(changed))
    assert.equal(JSON.parse((await verify(forged)).stdout).verdict, 'CONTENT_TAMPERED')
  })

  it('holds no address, process id, path, text or stack', () => {
    const seen = [...Array(100).keys()].flatMap((cycle) => {
      const { text } = observe(cycle)
      return [text, ...text.split(/[ ,]+/).filter((word) => /\d/.test(word) && !/^\d+$/.test(word))]
    })
    assert.ok(seen.includes('pid=1000') && seen.includes('203.0.113.1:443') && seen.includes('ann1@example.com'))
    for (const hidden of seen) assert.ok(!text.includes(hidden), hidden)
    const unwanted = [checkout.path, '127.0.0.1', '10.20.30.40', '/sys/fs', 'cannot read', 'daemon.ts', 'wrong-token']
    for (const hidden of [...unwanted, 'the-token', 'dTpw', 'This looks', '    at ']) {
      assert.ok(!text.includes(hidden), hidden)
    }
  })

  it('finds a leak of any kind, if there is one', () => {
    const leaks = ['10.0.0.7', '2001:db8::1', 'pid=7', 'pid: 7', '/etc/passwd', 'ann1@example.com', 'it was traced']
    for (const leak of [...leaks, 'This looks bad', 'cannot read', 'at load (probes.ts)']) {
      assert.equal(leaksIn(`{"details":{"note":"${leak}"}}`).length, 1, leak)
    }
  })

  it('links each finding to its call by cycle_id, which is also the id of the actor and of the correlation', () => {
    const calls = new Map(found('ai.call').map((call) => [call.details?.cycle_id, call]))
    assert.equal(calls.size, lives * cycles)
    for (const { details, correlation_id, actor } of found('finding.emit')) {
      const call = calls.get(details?.cycle_id)
      assert.equal(call?.outcome, 'success')
      assert.deepEqual([correlation_id, actor?.id], [details?.cycle_id, details?.cycle_id])
      assert.equal(call?.correlation_id, correlation_id)
    }
    const severities = new Set(found('finding.emit').map(({ details }) => details?.severity))
    assert.deepEqual([...severities].sort(), ['CRITICAL', 'WARNING'])
    const digests = found('finding.emit').map(({ details }) => details?.payload_digest)
    assert.equal(digests[0], createHash('sha256').update(observe(1).text).digest('hex'))
  })

  it('says of a call to a model what it cost and what was hidden from it, never what was said', () => {
    const { details } = found('ai.call')[0] ?? assert.fail()
    const { cycle_id, ...facts } = details ?? {}
    assert.deepEqual(facts, {
      provider: 'loopback',
      model: 'small-1',
      result: 'miss',
      prompt_bytes: 61,
      response_bytes: 177,
      input_tokens: 16,
      output_tokens: 12,
      redactions: [
        { rule: 'pid', count: 1 },
        { rule: 'path', count: 1 },
        { rule: 'ipv4', count: 1 },
      ],
    })
    const failed = found('ai.call').find((call) => call.details?.result === 'error')
    assert.deepEqual([failed?.outcome, failed?.error], ['failure', { class: 'rate_limit' }])
  })

  it('seals what a reload has changed, what holds now and what needs a restart', () => {
    const [changed, refused] = found('config.reload').map(factsOf)
    assert.deepEqual(changed, {
      outcome: 'success',
      actor: { type: 'system', id: 'watchd' },
      path: `/${checkout.path.split('/')[1]}/[REDACTED]`,
      source: 'SIGHUP',
      changed_fields: ['model', 'listen_port', 'policy.level'],
      applied: ['model', 'policy.level'],
      restart_required: ['listen_port'],
    })
    assert.deepEqual([refused?.outcome, refused?.changed_fields, refused?.applied], ['failure', [], []])
    const [policy] = records.filter(({ event_type }) => event_type === 'audit.policy.changed')
    assert.deepEqual(policy?.details?.applied, ['policy.level'])
  })

  it('has the crash, and what came before it, although the process did not live to deliver it', () => {
    const [panic] = found('daemon.panic')
    assert.deepEqual([panic?.outcome, panic?.error?.code], ['failure', 'TypeError'])
    assert.match(String(panic?.details?.stack_digest), /^[0-9a-f]{64}$/)
    assert.deepEqual(Object.keys(panic?.details ?? {}), ['stack_digest'])
    const opened = records.filter(({ event_type }) => event_type === 'audit.stream.opened')
    assert.deepEqual(
      opened.map(({ details }) => details?.previous_end),
      ['none', 'crash'],
    )
  })

  it('names the probe that the kernel refused, and of the reason what is no secret', () => {
    const [loaded, refused] = found('bpf.load')
    assert.deepEqual([loaded?.outcome, loaded?.details], ['success', { program: 'connect', success: true }])
    assert.deepEqual([refused?.outcome, refused?.details], ['failure', { program: 'exec', success: false }])
    const top = checkout.path.split('/')[1]
    const message = `libbpf: pid=[REDACTED]: /${top}/[REDACTED] is no ELF object (reported to [REDACTED]:9000)`
    assert.equal(refused?.error?.message, message)
  })

  it('tells the ways to come without the right token from each other', () => {
    const failures = found('auth.failure').map(factsOf)
    assert.deepEqual(
      failures.map(({ reason }) => reason),
      ['missing', 'wrong_token', 'malformed'],
    )
    for (const { outcome, actor, endpoint, remote_address } of failures) {
      assert.deepEqual([outcome, actor, endpoint], ['denied', { type: 'anonymous' }, '/metrics'])
      assert.match(String(remote_address), /^\[REDACTED\]:\d+$/)
    }
  })

  it('says what is wrong with its options, and changes nothing', async () => {
    const taken = join(checkout.path, 'taken')
    mkdirSync(taken)
    const cases: readonly (readonly [argv: readonly string[], complaint: RegExp])[] = [
      [['--cycle', '5'], /Unknown option '--cycle'/],
      [['--cycles', '0'], /--cycles is "0"; allowed: a whole number from 1 to/],
      [['--dir', taken], /EEXIST/],
    ]
    for (const [argv, complaint] of cases) {
      const { exitCode, stdout, stderr } = await checkout.run(process.execPath, 'examples/node-daemon/main.ts', ...argv)
      assert.deepEqual([exitCode, stdout], [2, ''])
      assert.match(stderr, complaint)
    }
    assert.deepEqual(readdirSync(taken), [])
  })
})

const intact = { verified: 'INTACT', unlinkedFindings: 0, leaks: [], invalid: 0, whileOff: 0 }

interface WrittenSummary {
  readonly actions: Readonly<Record<string, number>>
  readonly verified: string
  readonly unlinkedFindings: number
  readonly leaks: readonly string[]
  readonly invalid: number
  readonly whileOff: number
}

function readSummary(): WrittenSummary {
  return JSON.parse(readFileSync(join(dir, 'summary.json'), 'utf8'))
}

/** Names of the closed files in their order, and of the one being written. */
function logFiles(): string[] {
  const names = readdirSync(dir).filter((name) => /^audit\.ndjson\.\d+/.test(name))
  return [...names.sort(), 'audit.ndjson']
}

function readText(name: string): string {
  const bytes = readFileSync(join(dir, name))
  return (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8')
}

function found(action: string): LoggedRecord[] {
  return records.filter((record) => record.event_type === 'audit' && record.action === action)
}

function factsOf({ outcome, actor, details }: LoggedRecord): Readonly<Record<string, unknown>> {
  return { outcome, actor, ...details }
}

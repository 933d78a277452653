/** A bundle as an auditor gets it: unpacked, checked with nothing but its own programs, and searched for others' names. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { unzipSync } from 'fflate'
import { signRotation } from '../../src/chain/rotation.ts'
import type { EvidenceResult } from '../../src/cli/evidence.ts'
import { leafOf, makeKeys, TrailWriter, toNdjson } from '../support/trail.ts'
import { type Ended, runCli } from './run.ts'

const keys = makeKeys('prod')
const stream = '019b7c2f-1111-7000-8000-000000000001'
const others = ['globex', 'u-bob', 'Bobsled']
let place: string
let trail: readonly string[]
before(() => {
  place = mkdtempSync(join(tmpdir(), 'otel-audit-evidence-'))
  trail = makeTrail()
  writeFileSync(join(place, 'vkey'), `${keys.signer.verifierKey}\n`)
})
after(() => rmSync(place, { recursive: true }))

/** Two tenants in turns, three checkpoints, and what the trail says of itself. */
function makeTrail(): string[] {
  const writer = new TrailWriter(stream, keys).open()
  const control = (action: string, details: object) => writer.seal({ action, event_type: action, details })
  for (let count = 0; count < 60; count += 1) {
    const isAcme = count % 3 === 0
    writer.seal({
      tenant: isAcme ? 'acme' : 'globex',
      actor: { type: 'user', id: isAcme ? 'u-ann' : 'u-bob', name: isAcme ? '<b>Ann</b>' : 'Bobsled' },
      target: { resource_type: 'invoice', id: `${count}` },
      ...(count === 40 && { timestamp: '2025-12-31T00:00:00.000000000Z' }),
    })
    if (count === 10) control('audit.policy.changed', { before: 'aa', after: 'bb', changed_fields: ['level'] })
    if (count === 20) {
      const rules = [{ id: 'globex health checks', operation: 'read', outcome: 'success', count: 7 }]
      control('audit.suppressed', { from: 'x', to: 'y', policy: 'bb', rules })
    }
    if (count === 30) control('audit.quarantined', { destination: 'otlp', seq: 3, reason: 'refused: globex' })
    if (count % 25 === 24) writer.checkpoint()
  }
  return writer.close().lines
}

interface Bundle {
  readonly ended: Ended
  readonly bytes: Buffer
  readonly files: Readonly<Record<string, string>>
  readonly folder: string
  readonly report: EvidenceResult['report']
}

let made = 0
async function bundle(argv: readonly string[], lines: readonly string[] = trail): Promise<Bundle> {
  const folder = join(place, `${++made}`)
  mkdirSync(folder)
  const source = join(folder, 'audit.ndjson')
  writeFileSync(source, toNdjson(lines))
  const out = join(folder, 'evidence.zip')
  const ended = await runCli(['evidence', source, '--vkey', join(place, 'vkey'), '--out', out, '--json', ...argv])
  const bytes = readFileSync(out)
  const unpacked = join(folder, 'unpacked')
  const files = Object.entries(unzipSync(bytes)).map(([name, content]) => {
    mkdirSync(dirname(join(unpacked, name)), { recursive: true })
    writeFileSync(join(unpacked, name), content)
    return [name, Buffer.from(content).toString()] as const
  })
  return { ended, bytes, files: Object.fromEntries(files), folder: unpacked, report: JSON.parse(ended.stdout).report }
}

const recordsIn = ({ files }: Bundle): string[] => (files['records.ndjson'] ?? '').split('\n').slice(0, -1)
const namesIn = ({ files }: Bundle, word: string): string[] =>
  Object.entries(files).flatMap(([name, text]) => (`${name} ${text}`.includes(word) ? [name] : []))

describe('otel-audit evidence', () => {
  it('holds all records of a copy as they were sealed, but for the checkpoint that none covers', async () => {
    const all = await bundle([])
    assert.equal(all.ended.exitCode, 0, all.ended.stderr)
    assert.deepEqual(recordsIn(all), trail.slice(0, -1))
    const { records, proven, streams, verification, suppressed, policy, gaps } = all.report
    assert.deepEqual([records, proven, verification.verdict], [trail.length - 1, trail.length - 1, 'INTACT'])
    assert.deepEqual(streams, [
      { stream, records: trail.length - 1, first: 1, last: trail.length - 1, isContiguous: true },
    ])
    assert.deepEqual(
      [suppressed, policy, gaps].map((facts) => facts.map(({ type }) => type)),
      [['audit.suppressed'], ['audit.policy.changed'], ['audit.quarantined']],
    )
    const note = JSON.parse(trail.at(-1) ?? '').details.note
    assert.equal(all.files[`checkpoints/${stream}.note`], note)
  })

  it('holds all that was sealed in a time, whenever it happened, so that no number is missing', async () => {
    const { report } = await bundle(['--since', '2026-01-02T03:04:30Z', '--until', '2026-01-02T03:05:00Z'])
    assert.deepEqual(report.streams, [{ stream, records: 30, first: 25, last: 54, isContiguous: true }])
  })

  it('gives the same bytes for the same records, wherever and whenever, also from a longer copy', async () => {
    const range = ['--until', '2026-01-02T03:04:30Z', '--tenant', 'acme']
    const one = await bundle(range)
    const again = await bundle(range)
    assert.deepEqual(again.bytes, one.bytes)
    const shorter = await bundle(range, trail.slice(0, 60))
    assert.deepEqual(
      Object.entries(shorter.files).filter(([name]) => name.startsWith('proofs/')),
      Object.entries(one.files).filter(([name]) => name.startsWith('proofs/')),
    )
  })

  it('discloses nothing of others in a bundle about somebody', async () => {
    for (const subject of [
      ['--tenant', 'acme'],
      ['--actor', 'user:u-ann'],
    ]) {
      const about = await bundle(subject)
      assert.equal(about.ended.exitCode, 0)
      for (const word of others) assert.deepEqual(namesIn(about, word), [], word)
      assert.deepEqual(about.report.withheld, [
        'audit.quarantined',
        'audit.stream.closed',
        'audit.stream.opened',
        'audit.suppressed',
      ])
      const actions = recordsIn(about).map((line) => JSON.parse(line).action)
      assert.deepEqual([...new Set(actions)].sort(), ['audit.policy.changed', 'invoice.delete'])
      assert.equal(actions.length, 21)
      assert.equal(about.report.verification.whole, undefined)
    }
  })

  it('follows the rotations of the key, and proves what the new one signed', async () => {
    const next = makeKeys('prod', 2)
    const writer = new TrailWriter(stream, keys).open().act(3).checkpoint()
    writer.seal({
      action: 'audit.key.rotated',
      event_type: 'audit.key.rotated',
      details: signRotation(keys.signer, next.signer),
    })
    const { lines } = writer.act(4).checkpoint(next)
    const all = await bundle([], lines)
    assert.equal(all.ended.exitCode, 0, all.ended.stderr)
    assert.deepEqual(all.report.keys, [keys.signer.verifierKey, next.signer.verifierKey])
    assert.equal(all.report.proven, lines.length - 1)
    if (skip === false) assert.equal(check(all.folder).exitCode, 0)
  })

  it('says nothing of others either where verification finds something', async () => {
    const edited = trail.with(3, (trail[3] ?? '').replace('u-bob', 'u-bob2'))
    const about = await bundle(['--tenant', 'acme'], edited)
    assert.equal(about.ended.exitCode, 1)
    assert.equal(about.report.verification.verdict, 'CONTENT_TAMPERED')
    assert.deepEqual(about.report.verification.findings, [
      { verdict: 'CONTENT_TAMPERED', source: 'ndjson', stream, sequence: 4, detail: '' },
    ])
    for (const word of others) assert.deepEqual(namesIn(about, word), [], word)
  })

  it('leaves a record without a proof where the leaves do not fold to the signed root', async () => {
    const edited = trail.with(1, (trail[1] ?? '').replace('u-ann', 'u-eve'))
    const { report, files, ended } = await bundle([], edited)
    assert.equal(ended.exitCode, 1)
    assert.ok(report.proven < report.records)
    assert.equal(files[`proofs/${stream}/2.tlog-proof`], undefined)
  })

  it('proves a copy that begins later from its first checkpoint on', async () => {
    const { report } = await bundle(['--allow-partial'], trail.slice(10))
    const size = Number(
      JSON.parse(trail.find((line) => line.includes('audit.checkpoint')) ?? '').details.note.split('\n')[1],
    )
    assert.equal(report.records, trail.length - 11)
    assert.equal(report.records - report.proven, size - 10)
  })

  it('shows on the page what a record holds as text, without any script', async () => {
    const { files } = await bundle([])
    const page = files['report.html'] ?? ''
    assert.match(page, /CONTENT_TAMPERED|INTACT/)
    assert.doesNotMatch(page, /<script|<b>Ann|https?:|javascript:|<link|<img| on\w+=/i)
    assert.match(page, /globex health checks/)
  })

  it('never overwrites a file, and names what is missing', async () => {
    const source = join(place, 'there.ndjson')
    writeFileSync(source, toNdjson(trail))
    const key = ['--vkey', join(place, 'vkey')]
    const refused = await runCli(['evidence', source, ...key, '--out', source])
    assert.equal(refused.exitCode, 2)
    assert.match(refused.stderr, /--out .*exists already/)
    assert.equal(readFileSync(source, 'utf8'), toNdjson(trail))
    for (const [argv, says] of [
      [[source, ...key], /--out is missing/],
      [[source, '--out', join(place, 'x.zip')], /--vkey is missing/],
      [[...key, '--out', join(place, 'x.zip')], /SOURCE is missing/],
    ] as const) {
      const { exitCode, stderr } = await runCli(['evidence', ...argv])
      assert.equal(exitCode, 2)
      assert.match(stderr, says)
    }
    assert.ok(!readdirSync(place).includes('x.zip'))
  })
})

const skip =
  spawnSync('python3', ['--version']).status === 0 && spawnSync('openssl', ['version']).status === 0
    ? false
    : 'needs python3 and openssl'

function check(folder: string, vkey = 'keys.txt') {
  const run = spawnSync('python3', ['-B', 'check.py', '--vkey', vkey], { cwd: folder, encoding: 'utf8' })
  assert.equal(run.stderr, '')
  return { exitCode: run.status, printed: run.stdout }
}

describe('an auditor with a bundle, Python and openssl', { skip }, () => {
  it('reaches the verdict with the command of its README', async () => {
    const all = await bundle([])
    assert.match(all.files['README.txt'] ?? '', /python3 check\.py --vkey keys\.txt/)
    const count = trail.length - 1
    const stands = `stream ${stream}: ${count} records, 1 to ${count}, no number is missing\nPROVEN\n`
    assert.deepEqual(check(all.folder), { exitCode: 0, printed: stands })
    const about = await bundle(['--tenant', 'acme'])
    assert.match(check(about.folder).printed, /21 records, 2 to \d+, a selection\nPROVEN\n$/)
  })

  it('reaches it for a single record by hand too', async () => {
    const { folder } = await bundle([])
    const command = `sed -n 1p records.ndjson | tr -d '\\n' | (printf '\\0'; cat) | sha256sum`
    const { stdout } = spawnSync('bash', ['-c', command], { cwd: folder, encoding: 'utf8' })
    assert.equal(stdout.slice(0, 64), leafOf(trail[0] ?? ''))
  })

  it('finds whatever is changed in it', async () => {
    const { folder, files } = await bundle(['--tenant', 'acme'])
    const proof = `proofs/${stream}/2.tlog-proof`
    const other = makeKeys('prod', 2).signer.verifierKey
    const changes: Readonly<Record<string, readonly [string, string, RegExp]>> = {
      'a record': ['records.ndjson', (files['records.ndjson'] ?? '').replace('u-ann', 'u-eve'), /do not lead/],
      'a record taken away': [
        'records.ndjson',
        recordsIn({ files } as Bundle)
          .slice(1)
          .join('\n')
          .concat('\n'),
        /is not here/,
      ],
      'a record twice under another number': [
        'records.ndjson',
        (files['records.ndjson'] ?? '').replace(/"seq":2\b/, '"seq":3'),
        /no proof/,
      ],
      'a line that is no record': ['records.ndjson', `x\n${files['records.ndjson']}`, /no record/],
      'the path of a proof': [
        proof,
        (files[proof] ?? '').replace(/\n[A-Za-z0-9+/]{43}=\n/, `\n${'A'.repeat(43)}=\n`),
        /do not lead/,
      ],
      'the number of a proof': [
        proof,
        (files[proof] ?? '').replace('index 1\n', 'index 4\n'),
        /not one of this record/,
      ],
      'the size of a checkpoint': [proof, (files[proof] ?? '').replace(/\n28\n/, '\n29\n'), /proves nothing/],
      'the keys': ['keys.txt', `${other}\n`, /proves nothing/],
    }
    for (const [what, [name, text, says]] of Object.entries(changes)) {
      assert.notEqual(text, files[name], what)
      writeFileSync(join(folder, name), text)
      const { exitCode, printed } = check(folder)
      writeFileSync(join(folder, name), files[name] ?? '')
      assert.equal(exitCode, 1, what)
      assert.match(printed, says, what)
    }
    assert.equal(check(folder).exitCode, 0)
  })
})

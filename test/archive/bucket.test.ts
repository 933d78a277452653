/** An archive in a bucket of a real S3 server, as an operator uses it: what lies there, who may disturb it, what is said. */

import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { archiveRecords } from '../../src/archive/archive.ts'
import { openArchive, parseBucketUrl } from '../../src/archive/location.ts'
import { readBack } from '../../src/archive/read-back.ts'
import { type ArchiveStore, openFolder } from '../../src/archive/store.ts'
import { StreamArchive } from '../../src/archive/stream-archive.ts'
import { createS3Destination } from '../../src/destination/s3.ts'
import { openSource } from '../../src/verify/sources.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { runCli } from '../cli/run.ts'
import { startVersitygw, type Versitygw, versitygwAbsent, versitygwBinary } from '../parts/versitygw.ts'
import { makeKeys, makeTrail } from '../support/trail.ts'

const keys = makeKeys('prod')
const stream = '019b7c2f-1111-7000-8000-000000000001'
const lines = makeTrail({ stream, keys, records: 900, interval: 100 }).lines

async function archive(store: ArchiveStore, upTo: number) {
  const records = lines.slice(0, upTo).map((line, at) => ({ stream, sequence: at + 1, bytes: Buffer.from(line) }))
  const groups = (async function* () {
    yield records
  })()
  const [outcome] = await archiveRecords(groups, { store, verifiers: [keys.verifier] })
  return outcome
}

/** Every file below a folder, by its path. */
function contentsOf(directory: string): Map<string, string> {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((one) => one.isFile())
  const paths = files.map(({ parentPath, name }) => join(parentPath, name)).sort()
  return new Map(paths.map((path) => [path.slice(directory.length + 1), readFileSync(path).toString('base64')]))
}

it('says what a place in a bucket may be', () => {
  assert.deepEqual(parseBucketUrl('s3://audit-trail/billing/', '--out'), {
    name: 's3://audit-trail/billing',
    bucket: 'audit-trail',
    prefix: 'billing/',
    forcePathStyle: true,
  })
  const elsewhere = 's3://audit?endpoint=http%3A%2F%2Flocalhost%3A9000&region=eu-central-1&forcePathStyle=false'
  const { prefix, endpoint, region, forcePathStyle } = parseBucketUrl(elsewhere, '--out')
  assert.deepEqual([prefix, endpoint, region, forcePathStyle], ['', 'http://localhost:9000', 'eu-central-1', false])
  for (const [url, expected] of [
    ['s3://', /^--out s3:\/\/ names no bucket$/],
    ['s3:///prefix', /names no bucket$/],
    ['s3://key:secret@audit/x', /^--out s3:\/\/…@audit\/x holds credentials/],
    ['s3://audit?regoin=x', /has regoin; allowed: region, endpoint, forcePathStyle$/],
    ['s3://audit?endpoint=localhost', /has the endpoint localhost; allowed: a URL with http or https$/],
  ] as const) {
    assert.throws(() => parseBucketUrl(url, '--out'), { code: 'INVALID_OPTION', message: expected })
  }
})

describe('an archive in a bucket', { skip: versitygwBinary() === undefined ? versitygwAbsent : false }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'otel-audit-bucket-'))
  let server: Versitygw
  let env: NodeJS.ProcessEnv
  before(async () => {
    server = await startVersitygw(directory)
    const { endpoint, region, accessKeyId, secretAccessKey } = server.address
    env = {
      AWS_ENDPOINT_URL_S3: endpoint,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_MAX_ATTEMPTS: '1',
    }
    Object.assign(process.env, env)
  })
  after(async () => {
    await server.kill()
    rmSync(directory, { recursive: true })
  })
  const lying = (prefix: string) => contentsOf(join(directory, 'data/audit', prefix))

  it('holds what a folder would hold, whatever the steps it was made in', async () => {
    const folder = join(directory, 'folder')
    await archive(openFolder(folder), lines.length)
    for (const upTo of [1, 150, 257, 600, 601, lines.length]) {
      const outcome = await archive(await openArchive('s3://audit/steps', '--out'), upTo)
      assert.equal(outcome?.refused, undefined)
    }
    assert.deepEqual(lying('steps'), contentsOf(folder))
    const store = await openArchive('s3://audit/steps', '--out')
    assert.equal(await readBack(store, stream, { from: 0, to: lines.length }), undefined)
    assert.deepEqual(await store.list(), [stream])
  })

  it('is made, verified and searched by the command line', async () => {
    const file = join(directory, 'audit.ndjson')
    const vkey = join(directory, 'vkey')
    writeFileSync(file, lines.map((line) => `${line}\n`).join(''))
    writeFileSync(vkey, keys.signer.verifierKey)
    const at = 's3://audit/cli'
    const made = await runCli(['archive', file, '--out', at, '--vkey', vkey, '--json'], env)
    assert.equal(made.exitCode, 0, made.stderr)
    assert.equal(JSON.parse(made.stdout).verified.verdict, 'INTACT')
    const before = lying('cli')
    assert.equal((await runCli(['archive', file, '--out', at, '--vkey', vkey], env)).exitCode, 0)
    assert.deepEqual(lying('cli'), before)
    for (const source of [at, `${at}/${stream}`]) {
      const { exitCode, stdout } = await runCli(['verify', source, '--vkey', vkey, '--json'], env)
      const [report] = JSON.parse(stdout).sources
      assert.deepEqual([exitCode, report.verdict, report.records, report.name], [0, 'INTACT', lines.length, at])
    }
    const actor = JSON.parse(lines[300] ?? '').actor.id
    const found = await runCli(['query', at, '--actor', actor, '--limit', '2', '--json'], env)
    assert.equal(found.exitCode, 0, found.stderr)
    const expected = lines.filter((line) => JSON.parse(line).actor?.id === actor).slice(0, 2)
    assert.deepEqual(found.stdout.trimEnd().split('\n'), expected)
  })

  it('lets only one of two that archive at the same time go on, and keeps what that one did', async () => {
    const at = 's3://audit/two'
    await archive(await openArchive(at, '--out'), 400)
    const records = lines.map((line, at) => ({ sequence: at + 1, bytes: Buffer.from(line) }))
    const open = async () => StreamArchive.open(stream, { store: await openArchive(at, '--out'), verifiers: [] })
    const [slow, quick, last] = [await open(), await open(), await open()]
    for (const record of records.slice(400, 850)) await quick.add(record)
    for (const record of records.slice(400, 700)) await slow.add(record)
    assert.equal((await quick.finish()).refused, undefined)
    const kept = lying('two')
    assert.match((await slow.finish()).refused ?? '', /another process archives this stream at the same time/)
    // What it adds lies behind the checkpoint only.
    for (const record of records.slice(400, 410)) await last.add(record)
    assert.match((await last.finish()).refused ?? '', /another process archives this stream at the same time/)
    const left = lying('two')
    for (const [path, bytes] of kept) assert.equal(left.get(path), bytes, path)
    assert.equal((await archive(await openArchive(at, '--out'), lines.length))?.refused, undefined)
    assert.equal(lying('two').get(`${stream}/checkpoint`), lying('steps').get(`${stream}/checkpoint`))
  })

  it('goes on after the server was killed in the middle', async () => {
    const at = 's3://audit/killed'
    const store = await openArchive(at, '--out')
    let writes = 0
    const dying: ArchiveStore = {
      ...openingOf(store),
      async write(path, bytes) {
        writes += 1
        if (writes === 5) await server.kill()
        await store.write(path, bytes)
      },
    }
    await assert.rejects(archive(dying, lines.length), { code: 'ARCHIVE_FAILED' })
    await server.start()
    await archive(await openArchive(at, '--out'), lines.length)
    assert.deepEqual([...lying('killed').keys()], [...lying('steps').keys()])
  })

  it('is another thing than the objects of the s3 destination, which are read in their order', async () => {
    const place = { ...server.address, forcePathStyle: true, prefix: 'objects/' }
    const destination = await createS3Destination({ type: 's3', ...place })
    const records = lines.map((line, at) => ({ stream, sequence: at + 1, bytes: Buffer.from(line) }))
    for (const from of [600, 0, 300]) {
      const batch = { records: records.slice(from, from === 600 ? undefined : from + 300), bytes: 1 }
      assert.deepEqual(await destination.send(batch, AbortSignal.timeout(60_000)), { status: 'delivered' })
    }
    await destination.close()
    const verdictOf = async (source: string) => {
      const { verdict, findings, kind } = await verifySource(await openSource(source), { verifiers: [keys.verifier] })
      return [kind, verdict, ...findings.map(({ from, to, where }) => `${from}-${to} ${where ?? ''}`)]
    }
    assert.deepEqual(await verdictOf('s3://audit/objects'), ['ndjson', 'INTACT'])
    assert.deepEqual(await verdictOf(`s3://audit/objects/${stream}`), ['ndjson', 'INTACT'])
    const folder = join(directory, 'data/audit/objects', stream)
    rmSync(join(folder, readdirSync(folder).sort()[1] ?? ''))
    assert.match((await verdictOf('s3://audit/objects')).join(), /^ndjson,MISSING,301-600 /)
  })

  it('says what is wrong in one line with a remedy', async () => {
    const file = join(directory, 'audit.ndjson')
    const to = (out: string, more: NodeJS.ProcessEnv = {}) =>
      runCli(['archive', file, '--out', out], { ...env, ...more })
    const absent = `--import=data:text/javascript,${encodeURIComponent(hideSdk)}`
    for (const [ended, expected] of [
      [
        await to('s3://nowhere/x'),
        /^otel-audit: s3:\/\/nowhere\/x: HTTP 404 NoSuchBucket: .*\n {2}hint: check bucket, region/,
      ],
      [await to('s3://audit/x', { AWS_SECRET_ACCESS_KEY: 'wrong' }), /^otel-audit: s3:\/\/audit\/x: HTTP 403 /],
      [
        await to('s3://audit/x', { AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:1' }),
        /^otel-audit: s3:\/\/audit\/x: .*ECONNREFUSED/,
      ],
      [
        await to('s3://audit/x', { NODE_OPTIONS: absent }),
        /^otel-audit: the archive s3:\/\/audit\/x needs the package @aws-sdk\/client-s3, which is not installed\n {2}hint: Install it/,
      ],
      [await runCli(['verify', 's3://nowhere/x'], env), /HTTP 404 NoSuchBucket/],
    ] as const) {
      assert.equal(ended.exitCode, 2, ended.stderr)
      assert.match(`${ended.stderr}${ended.stdout}`, expected)
    }
  })
})

/** The store with its methods as members of its own. */
function openingOf(store: ArchiveStore): ArchiveStore {
  return {
    name: store.name,
    read: (path) => store.read(path),
    write: (path, bytes) => store.write(path, bytes),
    replace: (path, bytes, held) => store.replace(path, bytes, held),
    remove: (path) => store.remove(path),
    sync: () => store.sync(),
    list: (folder) => store.list(folder),
  }
}

const hideSdk = `import { registerHooks } from 'node:module'
registerHooks({ resolve(name, context, next) {
  if (name !== '@aws-sdk/client-s3') return next(name, context)
  throw Object.assign(new Error('not found'), { code: 'ERR_MODULE_NOT_FOUND' })
} })`

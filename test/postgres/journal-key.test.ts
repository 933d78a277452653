/** Another key signs the journal only behind a rotation that is sealed in it, once, whoever seals first. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { signRotation } from '../../src/chain/rotation.ts'
import { convertEvent } from '../../src/event/convert.ts'
import { parseRecord } from '../../src/event/record.ts'
import type { Connection } from '../../src/postgres/client.ts'
import { SeenHeadFile } from '../../src/postgres/seen-head.ts'
import { Sequencer } from '../../src/postgres/sequencer.ts'
import { readRecords } from '../../src/postgres/stored-records.ts'
import { createPostgresSource } from '../../src/verify/sources/postgres.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { runCli } from '../cli/run.ts'
import { connectionFor, migratedDatabase } from '../support/migrated.ts'
import { type Keys, makeKeys } from '../support/trail.ts'

const [first, second, third] = [makeKeys('prod', 1), makeKeys('prod', 2), makeKeys('prod', 3)] as [Keys, Keys, Keys]
const rotations = [signRotation(first.signer, second.signer), signRotation(second.signer, third.signer)]
const batch = { above: 0, events: 100, signs: false }
const signing = { ...batch, signs: true }

function sequencerWith(t: TestContext, { signer }: Keys, known = rotations.slice(0, 0)): Sequencer {
  const folder = mkdtempSync(join(tmpdir(), 'otel-audit-journal-key-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const admit = (input: unknown) => convertEvent(input)
  return new Sequencer({ signer, rotations: known, service: 'app', admit, seen: new SeenHeadFile(folder) })
}

async function emit(client: Connection, action: string): Promise<void> {
  await client.query('select audit.emit(jsonb_build_object($1::text, $2::text))', ['action', action])
}

async function actionsOf(client: Connection): Promise<(string | undefined)[]> {
  const actions = []
  for await (const { bytes } of readRecords(client)) actions.push(parseRecord(bytes)?.action)
  return actions
}

async function verdictWith(url: string, keys: Keys): Promise<string> {
  return (await verifySource(createPostgresSource(url), { verifiers: [keys.verifier] })).verdict
}

describe('the key of the journal', () => {
  it('changes behind its rotations, sealed once by whoever comes first, and whoever trusts the old one can verify', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    await emit(connection, 'a')
    const old = sequencerWith(t, first)
    await old.sealBatch(connection, batch)
    await old.sealBatch(connection, signing)
    await emit(connection, 'b')
    const others = [sequencerWith(t, third, rotations), sequencerWith(t, third, rotations)]
    const clients = await Promise.all(others.map(() => connectionFor(t, url)))
    // One after the other: which is first is no matter.
    for (const [index, other] of others.entries()) {
      await other.sealBatch(clients[index] as Connection, signing)
      await other.sealBatch(clients[index] as Connection, signing)
    }
    assert.deepEqual(await actionsOf(connection), [
      ...['audit.stream.opened', 'a', 'audit.checkpoint'],
      ...['audit.key.rotated', 'audit.key.rotated', 'b', 'audit.checkpoint'],
    ])
    assert.deepEqual([await verdictWith(url, first), await verdictWith(url, third)], ['INTACT', 'INTACT'])
  })

  it('is sealed although nothing else is to be', async (t) => {
    const { connection } = await migratedDatabase(t)
    await emit(connection, 'a')
    await sequencerWith(t, first).sealBatch(connection, batch)
    await sequencerWith(t, second, rotations).sealBatch(connection, batch)
    assert.deepEqual(await actionsOf(connection), ['audit.stream.opened', 'a', 'audit.key.rotated'])
  })

  it('lets nobody seal any more who still has the old one, or one that no rotation leads to', async (t) => {
    const { connection } = await migratedDatabase(t)
    await emit(connection, 'a')
    const old = sequencerWith(t, first)
    await old.sealBatch(connection, batch)
    await emit(connection, 'b')
    const refusal = { code: 'INVALID_OPTION', setting: 'keys.signingKeyFile', message: /no rotation leads from it/ }
    await assert.rejects(sequencerWith(t, third, rotations.slice(1)).sealBatch(connection, batch), refusal)
    await sequencerWith(t, second, rotations).sealBatch(connection, batch)
    await emit(connection, 'c')
    await assert.rejects(old.sealBatch(connection, batch), refusal)
    assert.equal((await connection.query('select from audit.outbox')).rows.length, 1)
  })

  it('is taken over as it is where an older version has sealed', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    await emit(connection, 'a')
    const sequencer = sequencerWith(t, first)
    await sequencer.sealBatch(connection, batch)
    await connection.query('update audit.journal set verifier_key = null')
    await sequencer.sealBatch(connection, signing)
    assert.deepEqual(await actionsOf(connection), ['audit.stream.opened', 'a', 'audit.checkpoint'])
    assert.equal(await verdictWith(url, first), 'INTACT')
  })

  it('is rotated by the command: forward seals it, and verify needs no more than the old verifier key', async (t) => {
    const { url, connection } = await migratedDatabase(t)
    const folder = mkdtempSync(join(tmpdir(), 'otel-audit-journal-key-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const [key, config] = [join(folder, 'audit.key'), join(folder, 'audit.json')]
    const vkey = (await runCli(['key', 'new', '--name', 'prod', '--out', key])).stdout.trim()
    writeFileSync(config, JSON.stringify({ deployment: 'prod', service: 'app', keys: { signingKeyFile: key } }))
    const argv = ['forward', '--postgres', url, '--config', config, '--state', join(folder, 'state'), '--once']
    await emit(connection, 'a')
    assert.equal((await runCli(argv)).exitCode, 0)
    const rotated = await runCli(['key', 'rotate', key, '--name', 'prod'])
    assert.equal(rotated.exitCode, 0, rotated.stderr)
    await emit(connection, 'b')
    assert.equal((await runCli(argv)).exitCode, 0)
    assert.equal((await actionsOf(connection)).filter((action) => action === 'audit.key.rotated').length, 1)
    const verified = await runCli(['verify', url, '--vkey', vkey])
    assert.deepEqual([verified.exitCode, /INTACT/.test(verified.stdout)], [0, true], verified.stdout)
  })
})

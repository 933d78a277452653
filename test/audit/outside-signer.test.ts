/** A trail that is signed by another process, which alone holds the key (examples/signing-agent). */

import assert from 'node:assert/strict'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readOptionsAndEnvironment } from '../../src/audit/read-config.ts'
import { createKeyFile, loadSigner } from '../../src/chain/keys.ts'
import { parseVerifierKey } from '../../src/chain/note.ts'
import { createAudit } from '../../src/index.ts'
import { createSpoolSource } from '../../src/verify/sources/spool.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { Program } from '../support/program.ts'
import { freshFolder, openAudit, recordsIn } from './opened.ts'

const example = join(import.meta.dirname, '../../examples/signing-agent')
const timeout = 60_000

function placeFor(t: TestContext) {
  const folder = freshFolder(t)
  const key = join(folder, 'agent.key')
  createKeyFile(key)
  const { verifierKey } = loadSigner(key, 'billing')
  const socket = join(folder, 'agent.sock')
  const signer = { module: join(example, 'signer.ts'), verifierKey, options: { socket } }
  const startAgent = async (file = key): Promise<Program> => {
    const agent = new Program([process.execPath, join(example, 'agent.ts'), file, socket])
    t.after(() => agent.kill('SIGKILL'))
    await agent.line('listens')
    return agent
  }
  return { folder, verifierKey, socket, signer, startAgent }
}

async function verdictOf(folder: string, verifierKey: string): Promise<string> {
  const verifier = parseVerifierKey(verifierKey)
  assert.ok(!('problem' in verifier))
  const { verdict } = await verifySource(createSpoolSource(join(folder, 'spool')), { verifiers: [verifier] })
  return verdict
}

test('an agent signs what the spool seals, and nothing waits for it while it is away', { timeout }, async (t) => {
  const { folder, verifierKey, socket, signer, startAgent } = placeFor(t)
  const audit = openAudit(folder, { keys: { signer }, closeTimeoutMs: 10_000 })
  assert.equal(audit.verifierKey, verifierKey)
  for (let count = 0; count < 600; count += 1) audit.emit({ action: 'invoice.delete' })
  await audit.emit({ action: 'invoice.delete' }).durable // with nobody there to sign
  assert.deepEqual(
    recordsIn(folder).filter(({ action }) => action === 'audit.checkpoint'),
    [],
  )
  await startAgent()
  await audit.close()
  assert.equal(await verdictOf(folder, verifierKey), 'INTACT')
  assert.ok(!readdirSync(join(folder, 'spool')).includes('audit.key'))
  rmSync(socket, { force: true })
})

test('what another key signs is sealed nowhere', { timeout }, async (t) => {
  const { folder, signer, startAgent } = placeFor(t)
  const other = join(folder, 'other.key')
  createKeyFile(other)
  await startAgent(other)
  const audit = openAudit(folder, { keys: { signer }, closeTimeoutMs: 1_000 })
  await audit.emit({ action: 'invoice.delete' }).durable
  await audit.close()
  assert.deepEqual(
    recordsIn(folder).filter(({ action }) => action === 'audit.checkpoint'),
    [],
  )
})

test('a signer that cannot sign this trail is refused at the start', (t) => {
  const { folder, signer } = placeFor(t)
  const spool = { directory: join(folder, 'spool') }
  const opening = (options: Parameters<typeof createAudit>[0]) => () =>
    createAudit({ service: 'billing', spool, ...options })
  assert.throws(opening({ deployment: 'prod', keys: { signer } }), /is that of billing, and the deployment is prod/)
  assert.throws(opening({ keys: { signer: { ...signer, module: './none.js' } } }), { code: 'MODULE_NOT_FOUND' })
  assert.throws(opening({ keys: { signer, signingKeyFile: 'audit.key' } }), /keys\.signer.*nothing beside it/s)
  const env = { AUDIT_KEYS_SIGNER: JSON.stringify(signer), AUDIT_KEYS_SIGNING_KEY: 'pem' }
  assert.throws(() => readOptionsAndEnvironment({}, env), /AUDIT_KEYS_SIGNER.*AUDIT_KEYS_SIGNING_KEY names another/)
  assert.throws(opening({ keys: { signer }, outbox: { url: 'postgres://localhost/app' } }), /within a transaction/)
})

/** examples/kms-signer with the client of AWS against a stand-in of its service. */

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms'
import { parseVerifierKey } from '../../src/chain/note.ts'
import { createSpoolSource } from '../../src/verify/sources/spool.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { freshFolder, openAudit } from '../audit/opened.ts'
import { kmsAbsent, kmsPython, startKms } from '../parts/kms.ts'

const skip = kmsPython() === undefined ? kmsAbsent : undefined
const example = join(import.meta.dirname, '../../examples/kms-signer')

test('AWS KMS signs a trail, and nothing waits for it while it is away', { skip, timeout: 120_000 }, async (t) => {
  const folder = freshFolder(t)
  mkdirSync(join(folder, 'kms'))
  const kms = await startKms(join(folder, 'kms'))
  t.after(() => kms.kill())
  const region = 'us-east-1'
  // Where the client finds credentials, in the thread that signs as well; no other test runs in this process.
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_REGION: region })
  const client = new KMSClient({ endpoint: kms.url, region })
  const asked = { KeySpec: 'ECC_NIST_EDWARDS25519', KeyUsage: 'SIGN_VERIFY' } as const
  const { KeyMetadata } = await client.send(new CreateKeyCommand(asked))
  const keyId = KeyMetadata?.KeyId ?? ''
  const env = { ...process.env, AWS_ENDPOINT_URL_KMS: kms.url }
  const verifierKey = execFileSync(process.execPath, [join(example, 'verifier-key.ts'), keyId, 'billing'], { env })
  const verifier = parseVerifierKey(verifierKey.toString().trim())
  assert.ok(!('problem' in verifier))

  const options = { keyId, region, endpoint: kms.url }
  const signer = { module: join(example, 'signer.ts'), verifierKey: verifierKey.toString().trim(), options }
  const audit = openAudit(folder, { keys: { signer }, closeTimeoutMs: 20_000 })
  for (let count = 0; count < 300; count += 1) audit.emit({ action: 'invoice.delete' })
  await audit.emit({ action: 'invoice.delete' }).durable
  await audit.close()
  const report = await verifySource(createSpoolSource(join(folder, 'spool')), { verifiers: [verifier] })
  assert.deepEqual([report.verdict, report.findings], ['INTACT', []])

  await kms.stop()
  const alone = openAudit(folder, { keys: { signer }, closeTimeoutMs: 500 })
  await alone.emit({ action: 'invoice.delete' }).durable
  await alone.close()
  const { verdict } = await verifySource(createSpoolSource(join(folder, 'spool')), { verifiers: [verifier] })
  assert.equal(verdict, 'OPEN_TAIL')
})

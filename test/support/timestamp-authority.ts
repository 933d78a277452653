/** A timestamp authority (RFC 3161) of openssl behind HTTP, with its certificates in a folder: `ca.pem` is its root. */

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

export interface Authority {
  /** At `/empty` it answers with something else. */
  readonly url: string
  /** Runs openssl in the folder of the certificates. */
  readonly openssl: (...argv: string[]) => string
}

export async function startAuthority(t: TestContext, folder: string): Promise<Authority> {
  const openssl = (...argv: string[]) => execFileSync('openssl', argv, { cwd: folder, stdio: 'pipe' }).toString()
  const config = `[tsa]\ndefault_tsa = t
[t]\nserial = ./serial\ncrypto_device = builtin\nsigner_cert = ./tsa.pem\ncerts = ./ca.pem\nsigner_key = ./tsa.key
signer_digest = sha256\ndefault_policy = 1.2.3.4\ndigests = sha256\naccuracy = secs:1\ness_cert_id_alg = sha256
[ext]\nextendedKeyUsage = critical,timeStamping\n`
  writeFileSync(join(folder, 'tsa.cnf'), config)
  writeFileSync(join(folder, 'serial'), '01\n')
  openssl('req', '-x509', '-newkey', 'ed25519', '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=ca')
  openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'tsa.key', '-out', 'tsa.csr', '-subj', '/CN=tsa')
  const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'tsa.cnf', '-extensions', 'ext']
  openssl('x509', '-req', '-in', 'tsa.csr', '-out', 'tsa.pem', '-days', '2', ...signing)
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    writeFileSync(join(folder, 'query.tsq'), Buffer.concat(chunks))
    openssl('ts', '-reply', '-config', 'tsa.cnf', '-queryfile', 'query.tsq', '-out', 'reply.tsr')
    response.end(request.url === '/empty' ? 'no timestamp' : readFileSync(join(folder, 'reply.tsr')))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return { url: `http://127.0.0.1:${(server.address() as { port: number }).port}`, openssl }
}

/**
 * An agent that holds a signing key and signs for others over a Unix socket, in the way of a PKCS#11 token or an SSH agent:
 * the service never sees the key. Started by its own user, with a socket that only the service may open:
 *
 *   node agent.ts audit.key /run/audit-agent.sock
 *
 * POST /sign takes the text, at most 4 KiB, and answers with the 64 bytes of the Ed25519 signature.
 */

import { createPrivateKey, sign } from 'node:crypto'
import { chmodSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'

const [keyFile = '', socket = ''] = process.argv.slice(2)
const key = createPrivateKey(readFileSync(keyFile))
const textBytesMax = 4_096
/** It signs checkpoints and nothing else: `deployment/stream`, a size, a root. */
const checkpoint = /^[^\s+]+\/[0-9a-f-]{36}\n(0|[1-9]\d*)\n[A-Za-z0-9+/]{43}=\n$/

const server = createServer(async (request, response) => {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  const text = Buffer.concat(chunks)
  const isOne = text.length <= textBytesMax && checkpoint.test(text.toString())
  if (isOne) response.end(sign(null, text, key))
  else response.writeHead(400).end('this is no checkpoint')
})
server.listen(socket, () => {
  chmodSync(socket, 0o600)
  process.stdout.write('listens\n')
})

/**
 * A signer outside of the process (docs/keys.md): `keys: { signer: { module: './signer.ts', verifierKey, options: { socket } } }`.
 * A key management service is asked in the same way, by its own client in the place of this request.
 */

import { request } from 'node:http'

interface Options {
  readonly socket: string
}

export function createSigner({ socket }: Options) {
  return { sign: (text: Uint8Array) => ask(socket, text) }
}

function ask(socketPath: string, text: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path: '/sign', method: 'POST' }, async (response) => {
      const chunks: Buffer[] = []
      for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk)
      const answer = Buffer.concat(chunks)
      if (response.statusCode === 200) resolve(answer)
      else reject(new Error(`the signing agent: ${answer}`))
    })
    asked.once('error', reject)
    asked.end(text)
  })
}

/** A real S3 server on a folder: versitygw, built by Go into the cache. Started on loopback with one bucket. */

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { buildGoProgram, findGoProgram, type GoProgram } from './go-program.ts'
import { freePort } from './process.ts'
import { answers, OwnedServer } from './server.ts'

const versitygw: GoProgram = {
  name: 'versitygw',
  version: '1.8.0',
  package: 'github.com/versity/versitygw/cmd/versitygw',
  skipped: 'the S3 server: the tests of the s3 destination',
}
const readyMsMax = 20_000

/** Why a test that needs it is skipped where it is absent. */
export const versitygwAbsent = 'the S3 server is not built: npm run parts -- versitygw'

/** Path of the binary, or `undefined` where `npm run parts` has not built it. */
export const versitygwBinary = () => findGoProgram(versitygw)

export const buildVersitygw = (options: { onProgress: (line: string) => void }) => buildGoProgram(versitygw, options)

/** What a client needs. */
export interface S3Address {
  readonly endpoint: string
  readonly region: string
  readonly bucket: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

export class Versitygw extends OwnedServer {
  readonly address: S3Address

  constructor(dir: string, { binary, port }: { binary: string; port: number }) {
    const address = {
      endpoint: `http://127.0.0.1:${port}`,
      region: 'us-east-1',
      bucket: 'audit',
      accessKeyId: 'test-access',
      secretAccessKey: 'test-secret',
    }
    const listen = ['--port', `127.0.0.1:${port}`, '--health', '/health']
    super({
      name: 'the S3 server',
      dir,
      log: 'log',
      command: binary,
      args: [...listen, 'posix', '--sidecar', join(dir, 'meta'), 'data'],
      env: { ...process.env, ROOT_ACCESS_KEY: address.accessKeyId, ROOT_SECRET_KEY: address.secretAccessKey },
      readyMsMax,
      isReady: () => answers(`${address.endpoint}/health`),
    })
    this.address = address
    for (const folder of ['data/audit', 'meta']) mkdirSync(join(dir, folder), { recursive: true })
  }
}

/** Starts it in an empty directory. */
export async function startVersitygw(dir: string): Promise<Versitygw> {
  const binary = versitygwBinary()
  if (binary === undefined) throw new Error(versitygwAbsent)
  const server = new Versitygw(dir, { binary, port: await freePort() })
  await server.start()
  return server
}

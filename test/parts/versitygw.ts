/**
 * A real S3 server on a folder: versitygw, built by Go into the cache. Started on loopback with one bucket; it can be
 * stopped, killed, and started again on its address with what it held.
 */

import { execFileSync } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { MissingToolError, runStep } from './build.ts'
import { installOnce, partDirectory } from './cache.ts'
import { freePort, hasEnded, killOwned, startOwned, stopOwned } from './process.ts'

const version = '1.8.0'
const source = `github.com/versity/versitygw/cmd/versitygw@v${version}`
const readyMsMax = 20_000

/** Why a test that needs it is skipped where it is absent. */
export const versitygwAbsent = 'the S3 server is not built: npm run parts -- versitygw'

function versitygwDirectory(): string {
  return partDirectory('versitygw', version, source)
}

/** Path of the binary, or `undefined` where `npm run parts` has not built it. */
export function versitygwBinary(): string | undefined {
  const binary = join(versitygwDirectory(), 'versitygw')
  return existsSync(binary) ? binary : undefined
}

/** Builds it unless the cache holds it, and returns its path. Throws MissingToolError without Go. */
export async function buildVersitygw(options: { onProgress?: (line: string) => void } = {}): Promise<string> {
  const onProgress = options.onProgress ?? (() => {})
  await installOnce(versitygwDirectory(), async (workshop) => {
    try {
      execFileSync('go', ['version'], { stdio: 'ignore' })
    } catch (thrown) {
      throw new MissingToolError('go', 'the S3 server: the tests of the s3 destination', { cause: thrown })
    }
    onProgress('building it (minutes)')
    const env = { ...process.env, GOBIN: workshop, CGO_ENABLED: '0' }
    await runStep('go', ['install', source], { cwd: workshop, env, onProgress })
  })
  return join(versitygwDirectory(), 'versitygw')
}

/** What a client needs. */
export interface S3Address {
  readonly endpoint: string
  readonly region: string
  readonly bucket: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

export class Versitygw {
  readonly address: S3Address
  readonly #dir: string
  readonly #port: number
  #child: ReturnType<typeof startOwned> | undefined

  constructor(dir: string, port: number) {
    this.#dir = dir
    this.#port = port
    this.address = {
      endpoint: `http://127.0.0.1:${port}`,
      region: 'us-east-1',
      bucket: 'audit',
      accessKeyId: 'test-access',
      secretAccessKey: 'test-secret',
    }
    for (const folder of ['data/audit', 'meta']) mkdirSync(join(dir, folder), { recursive: true })
  }

  async start(): Promise<void> {
    const binary = versitygwBinary()
    if (binary === undefined) throw new Error(versitygwAbsent)
    const log = openSync(join(this.#dir, 'log'), 'a')
    const { accessKeyId, secretAccessKey } = this.address
    const env = { ...process.env, ROOT_ACCESS_KEY: accessKeyId, ROOT_SECRET_KEY: secretAccessKey }
    const args = [
      '--port',
      `127.0.0.1:${this.#port}`,
      '--health',
      '/health',
      'posix',
      '--sidecar',
      join(this.#dir, 'meta'),
      'data',
    ]
    const child = startOwned(binary, args, { cwd: this.#dir, env, stdio: ['ignore', log, log] })
    closeSync(log)
    this.#child = child
    const deadline = AbortSignal.timeout(readyMsMax)
    while (!(await this.#isReady())) {
      if (deadline.aborted || hasEnded(child)) {
        await killOwned(child)
        throw new Error(`the S3 server did not start:\n${readFileSync(join(this.#dir, 'log'), 'utf8').slice(-2_000)}`)
      }
      await delay(20)
    }
  }

  async stop(): Promise<void> {
    if (this.#child !== undefined) await stopOwned(this.#child)
  }

  async kill(): Promise<void> {
    if (this.#child !== undefined) await killOwned(this.#child)
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  #isReady(): Promise<boolean> {
    return fetch(`${this.address.endpoint}/health`).then(
      ({ ok }) => ok,
      () => false,
    )
  }
}

/** Starts it in an empty directory. */
export async function startVersitygw(dir: string): Promise<Versitygw> {
  const server = new Versitygw(dir, await freePort())
  await server.start()
  return server
}

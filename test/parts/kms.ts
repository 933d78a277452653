/**
 * A stand-in for AWS KMS that signs with Ed25519: ministack, installed by pip into a virtual environment in the cache
 * (0.1 GB). It speaks the protocol of the service, so that the client of AWS talks to it as to the real one.
 */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { requireTool, runStep } from './build.ts'
import { installOnce, partDirectory } from './cache.ts'
import { freePort } from './process.ts'
import { answers, OwnedServer } from './server.ts'

const version = '1.5.33'
/** What it signs with is no dependency of its own. */
const packages = [`ministack==${version}`, 'cryptography==50.0.2']
const readyMsMax = 60_000

/** Why a test that needs it is skipped where it is absent. */
export const kmsAbsent = 'the stand-in for AWS KMS is not installed: npm run parts -- kms'

function kmsDirectory(): string {
  return partDirectory('kms', version, packages.join(' '))
}

/** Path of the Python that has it, or `undefined` where `npm run parts` has not installed it. */
export function kmsPython(): string | undefined {
  const python = join(kmsDirectory(), 'bin/python')
  return existsSync(python) ? python : undefined
}

/** Installs it unless the cache holds it, and returns the Python that has it. Throws MissingToolError without. */
export async function installKms({ onProgress }: { onProgress: (line: string) => void }): Promise<string> {
  await installOnce(kmsDirectory(), async (workshop) => {
    requireTool('python3', ['-m', 'venv', '--help'], 'AWS KMS: the test of examples/kms-signer')
    const step = { cwd: workshop, env: process.env, onProgress }
    await runStep('python3', ['-m', 'venv', workshop], step)
    // As a module: the scripts of a virtual environment name the directory they were made in.
    await runStep(join(workshop, 'bin/python'), ['-m', 'pip', 'install', '--quiet', ...packages], step)
  })
  return join(kmsDirectory(), 'bin/python')
}

export class Kms extends OwnedServer {
  readonly url: string

  constructor(dir: string, { python, port }: { python: string; port: number }) {
    const url = `http://127.0.0.1:${port}`
    const own = {
      BIND_HOST: '127.0.0.1',
      GATEWAY_PORT: String(port),
      SERVICES: 'kms',
      IOT_MTLS_ENABLED: '0',
      TMPDIR: dir,
    }
    super({
      name: 'the stand-in for AWS KMS',
      dir,
      log: 'log',
      command: python,
      args: ['-m', 'ministack'],
      env: { ...process.env, ...own },
      readyMsMax,
      isReady: () => answers(`${url}/_ministack/health`),
    })
    this.url = url
  }
}

/** Starts it in an empty directory, without a key. */
export async function startKms(dir: string): Promise<Kms> {
  const python = kmsPython()
  if (python === undefined) throw new Error(kmsAbsent)
  const server = new Kms(dir, { python, port: await freePort() })
  await server.start()
  return server
}

/**
 * The real ClickHouse engine: chdb, installed by pip into a virtual environment in the cache (0.9 GB), behind as much
 * of ClickHouse's HTTP interface as its client needs.
 */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { requireTool, runStep } from './build.ts'
import { installOnce, partDirectory } from './cache.ts'
import { freePort } from './process.ts'
import { answers, OwnedServer } from './server.ts'

const version = '26.9.0'
const engine = `chdb-core==${version}`
const readyMsMax = 60_000

/** Why a test that needs it is skipped where it is absent. */
export const clickhouseAbsent = "ClickHouse's engine is not installed: npm run parts -- clickhouse"

function clickhouseDirectory(): string {
  return partDirectory('clickhouse', version, engine)
}

/** Path of the Python that has the engine, or `undefined` where `npm run parts` has not installed it. */
export function clickhousePython(): string | undefined {
  const python = join(clickhouseDirectory(), 'bin/python')
  return existsSync(python) ? python : undefined
}

/** Installs the engine unless the cache holds it, and returns the Python that has it. Throws MissingToolError without. */
export async function installClickhouse({ onProgress }: { onProgress: (line: string) => void }): Promise<string> {
  await installOnce(clickhouseDirectory(), async (workshop) => {
    requireTool('python3', ['-m', 'venv', '--help'], 'ClickHouse: the tests of the clickhouse destination')
    const step = { cwd: workshop, env: process.env, onProgress }
    await runStep('python3', ['-m', 'venv', workshop], step)
    onProgress('installing the engine (0.9 GB)')
    // As a module: the scripts of a virtual environment name the directory they were made in.
    await runStep(join(workshop, 'bin/python'), ['-m', 'pip', 'install', '--quiet', engine], step)
  })
  return join(clickhouseDirectory(), 'bin/python')
}

export class Clickhouse extends OwnedServer {
  readonly url: string

  constructor(dir: string, { python, port }: { python: string; port: number }) {
    const url = `http://127.0.0.1:${port}`
    super({
      name: 'ClickHouse',
      dir,
      log: 'log',
      command: python,
      args: [join(import.meta.dirname, 'clickhouse.py'), String(port), join(dir, 'data')],
      readyMsMax,
      isReady: () => answers(`${url}/ping`),
    })
    this.url = url
  }
}

/** Starts it in an empty directory. */
export async function startClickhouse(dir: string): Promise<Clickhouse> {
  const python = clickhousePython()
  if (python === undefined) throw new Error(clickhouseAbsent)
  const server = new Clickhouse(dir, { python, port: await freePort() })
  await server.start()
  return server
}

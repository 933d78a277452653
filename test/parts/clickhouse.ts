/**
 * The real ClickHouse engine: chdb, installed by pip into a virtual environment in the cache (0.9 GB), behind as much
 * of ClickHouse's HTTP interface as its client needs. It can be killed and started again with what it held.
 */

import { execFileSync } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { MissingToolError, runStep } from './build.ts'
import { installOnce, partDirectory } from './cache.ts'
import { freePort, hasEnded, killOwned, startOwned, stopOwned } from './process.ts'

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
export async function installClickhouse(options: { onProgress?: (line: string) => void } = {}): Promise<string> {
  const onProgress = options.onProgress ?? (() => {})
  await installOnce(clickhouseDirectory(), async (workshop) => {
    try {
      execFileSync('python3', ['-m', 'venv', '--help'], { stdio: 'ignore' })
    } catch (thrown) {
      throw new MissingToolError('python3 with venv', 'ClickHouse: the tests of the clickhouse destination', {
        cause: thrown,
      })
    }
    const step = { cwd: workshop, env: process.env, onProgress }
    await runStep('python3', ['-m', 'venv', workshop], step)
    onProgress('installing the engine (0.9 GB)')
    // As a module: the scripts of a virtual environment name the directory they were made in.
    await runStep(join(workshop, 'bin/python'), ['-m', 'pip', 'install', '--quiet', engine], step)
  })
  return join(clickhouseDirectory(), 'bin/python')
}

export class Clickhouse {
  readonly url: string
  readonly #dir: string
  readonly #port: number
  #child: ReturnType<typeof startOwned> | undefined

  constructor(dir: string, port: number) {
    this.#dir = dir
    this.#port = port
    this.url = `http://127.0.0.1:${port}`
  }

  async start(): Promise<void> {
    const python = clickhousePython()
    if (python === undefined) throw new Error(clickhouseAbsent)
    const log = openSync(join(this.#dir, 'log'), 'a')
    const script = join(import.meta.dirname, 'clickhouse.py')
    const args = [script, String(this.#port), join(this.#dir, 'data')]
    const child = startOwned(python, args, { cwd: this.#dir, stdio: ['ignore', log, log] })
    closeSync(log)
    this.#child = child
    const deadline = AbortSignal.timeout(readyMsMax)
    while (!(await this.#isReady())) {
      if (deadline.aborted || hasEnded(child)) {
        await killOwned(child)
        throw new Error(`ClickHouse did not start:\n${readFileSync(join(this.#dir, 'log'), 'utf8').slice(-2_000)}`)
      }
      await delay(50)
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
    return fetch(`${this.url}/ping`).then(
      ({ ok }) => ok,
      () => false,
    )
  }
}

/** Starts it in an empty directory. */
export async function startClickhouse(dir: string): Promise<Clickhouse> {
  const server = new Clickhouse(dir, await freePort())
  await server.start()
  return server
}

/** Makes each kind of copy with an attack in it, and verifies it as a user would: by its name. */

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { AuditError } from '../../src/errors.ts'
import { type Connection, createConnection } from '../../src/postgres/client.ts'
import { migrateUp } from '../../src/postgres/migrate.ts'
import { ensurePartition } from '../../src/postgres/records.ts'
import { openSource } from '../../src/verify/sources.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { mainFile } from '../cli/run.ts'
import { toNdjson, toOtlp } from '../support/trail.ts'
import { type Attack, type BesideChange, type Copy, keys } from './attacks.ts'
import { craftArchive } from './crafted-archive.ts'
import { craftSpool } from './crafted-spool.ts'
import { fillDatabase } from './database-copy.ts'

/** What came of a verification, whether it ran here or in a process of its own. */
export interface Outcome {
  readonly verdict: string
  readonly exitCode: number
  /** `VERDICT sequence` or `VERDICT from-to`, sorted. */
  readonly findings: readonly string[]
}

/** A place for copies. Always holds: what it made is gone after `close`. */
export class Copies {
  readonly #folder = mkdtempSync(join(tmpdir(), 'otel-audit-tamper-'))
  readonly #databaseUrl: string
  #connection: Connection | undefined
  #made = 0

  /** `databaseUrl` names a database that may be filled. */
  constructor(databaseUrl: string) {
    this.#databaseUrl = databaseUrl
  }

  /** Makes the copy with the attack in it and verifies that. */
  async verify(attack: Attack, copy: Copy): Promise<Outcome> {
    if (copy === 'stdin') return verifyStandardInput(attack)
    return verifyNamed(await this.#make(attack, copy), attack)
  }

  async close(): Promise<void> {
    this.#connection?.destroy()
    rmSync(this.#folder, { recursive: true })
  }

  async #make({ lines, beside }: Attack, copy: Exclude<Copy, 'stdin'>): Promise<string> {
    const change = beside?.[copy]
    const path = join(this.#folder, `${++this.#made}`)
    if (copy === 'postgres') return this.#fill(lines, change)
    if (copy === 'spool')
      craftSpool(path, lines, typeof change === 'object' && 'keeps' in change ? change.keeps : undefined)
    else if (copy === 'archive') craftArchive(path, lines, typeof change === 'function' ? change : undefined)
    else {
      const text = copy === 'otlp' ? toOtlp(lines) : toNdjson(lines)
      const changed = typeof change === 'function' ? change(text) : text
      writeFileSync(path, copy === 'ndjson.gz' ? gzipSync(changed) : changed)
    }
    return path
  }

  async #fill(lines: readonly string[], change: BesideChange | undefined): Promise<string> {
    this.#connection ??= await this.#connect()
    const connection = this.#connection
    await fillDatabase(connection, lines)
    if (typeof change === 'object' && 'statement' in change) await connection.query(change.statement)
    return this.#databaseUrl
  }

  async #connect(): Promise<Connection> {
    const connection = createConnection({ url: this.#databaseUrl })
    await connection.open()
    await migrateUp(connection)
    await ensurePartition(connection, '2026-01-02T00:00:00Z')
    // Whoever owns the table takes away what stands in his way.
    await connection.query('alter table audit.record disable trigger user')
    return connection
  }
}

async function verifyNamed(name: string, { allowPartial = false }: Attack): Promise<Outcome> {
  try {
    const report = await verifySource(await openSource(name), { verifiers: [keys.verifier], allowPartial })
    return outcomeOf(report)
  } catch (thrown) {
    if (!(thrown instanceof AuditError) || thrown.code !== 'SOURCE_UNREADABLE') throw thrown
    return { verdict: 'UNREADABLE', exitCode: 2, findings: [] } // as the command says it
  }
}

async function verifyStandardInput({ lines, allowPartial }: Attack): Promise<Outcome> {
  const argv = [
    'verify',
    '-',
    '--json',
    '--vkey',
    keys.signer.verifierKey,
    ...(allowPartial ? ['--allow-partial'] : []),
  ]
  const child = spawn(process.execPath, [mainFile, ...argv], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.on('error', () => {}) // a command that refuses its input closes it
  child.stdin.end(toNdjson(lines))
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text
  })
  await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve))
  const { sources } = JSON.parse(printed) as { sources: Parameters<typeof outcomeOf>[0][] }
  return outcomeOf(sources[0] ?? { verdict: 'NO_RECORDS', exitCode: 2, findings: [] })
}

interface Found {
  readonly verdict: string
  readonly sequence?: number
  readonly from?: number
  readonly to?: number
}

function outcomeOf(report: { verdict: string; exitCode: number; findings: readonly Found[] }): Outcome {
  const findings = report.findings.map(({ verdict, sequence, from, to }) => {
    if (sequence !== undefined) return `${verdict} ${sequence}`
    return from === undefined ? verdict : `${verdict} ${from}-${to}`
  })
  return { verdict: report.verdict, exitCode: report.exitCode, findings: findings.sort() }
}

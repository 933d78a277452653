/**
 * The export: `otel-audit forward --postgres` in a process of its own, which seals what the broker has committed and
 * sends it on. It is killed at the moments that matter: after it has sealed, and after a receiver has kept a batch but
 * before it could say so.
 */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { S3Address } from '../../test/parts/versitygw.ts'
import { queryOnce } from '../../test/support/postgres.ts'
import { otelAudit, otelAuditProgram } from '../demo/command-line.ts'
import { ChildProgram } from '../stage/child-program.ts'
import type { Stage } from '../stage/example.ts'
import { type Siem, secret } from './siem.ts'
import { killMoments } from './summary.ts'

export interface Exporting extends Stage {
  readonly database: string
  readonly siem: Siem
  readonly bucket: S3Address | undefined
  readonly key: string
}

/** The configuration file of the exporter. */
export function writeConfiguration({ dir, key, siem, bucket }: Exporting): void {
  const webhook = { type: 'http', name: 'siem', endpoint: siem.url, format: 'ndjson', secret, batchRecordsMax: 20 }
  const s3 = bucket && { type: 's3', forcePathStyle: true, ...bucket, batchRecordsMax: 50, flushIntervalMs: 200 }
  const destinations = s3 === undefined ? [webhook] : [webhook, s3]
  const configuration = {
    service: 'security-broker',
    deployment: 'broker',
    keys: { signingKeyFile: key },
    destinations,
  }
  writeFileSync(configurationIn(dir), JSON.stringify(configuration))
}

export function configurationIn(dir: string): string {
  return join(dir, 'export.json')
}

function argumentsOf({ dir, database }: Exporting): string[] {
  return ['forward', '--postgres', database, '--config', configurationIn(dir), '--state', join(dir, 'journal')]
}

/** Seals and sends everything that is there. */
export async function exportAll(exporting: Exporting): Promise<void> {
  await otelAudit([...argumentsOf(exporting), '--once'])
}

/** Exports, and is killed at each of the moments; to how often that was. */
export async function exportAndDie(exporting: Exporting): Promise<number> {
  let kills = 0
  // One life after the other.
  for (const moment of killMoments) {
    const exporter = start(exporting)
    if (moment === 'it has sealed') await sealed(exporting.database)
    else await kept(exporting.siem)
    if ((await exporter.end('SIGKILL')) === null) kills += 1
  }
  return kills
}

function start(exporting: Exporting): ChildProgram {
  const args = argumentsOf(exporting)
  const log = join(exporting.dir, 'export.log')
  return exporting.running.use(new ChildProgram({ program: otelAuditProgram, args, env: {}, log }))
}

/** Until there are more records than now. */
async function sealed(database: string): Promise<void> {
  const count = async () => Number((await queryOnce(database, 'select count(*) from audit.record'))[0]?.count)
  const before = await count()
  while ((await count()) === before) {}
}

/** Until a batch is kept whose sender will not hear of it. */
async function kept(siem: Siem): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  siem.interrupt = () => {
    resolve()
    return true
  }
  await promise
  siem.interrupt = undefined
}

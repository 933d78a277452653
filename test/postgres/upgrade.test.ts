/** Databases as released versions have left them are brought forward, and nothing in them is lost or becomes another thing. */

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { convertEvent } from '../../src/event/convert.ts'
import { inspectSchema } from '../../src/postgres/inspect.ts'
import { migrateUp, migrationStatus, readMigrations } from '../../src/postgres/migrate.ts'
import { SeenHeadFile } from '../../src/postgres/seen-head.ts'
import { Sequencing } from '../../src/postgres/sequencing.ts'
import { createPostgresSource } from '../../src/verify/sources/postgres.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { connectionFor } from '../support/migrated.ts'
import { databaseFor, queryOnce } from '../support/postgres.ts'
import { makeKeys } from '../support/trail.ts'

const keys = makeKeys('prod')
const released = [1, 2, 3, 4, 5, 6]
/** Of the trail that `fixtures/make.ts` delivers. */
const records = 25

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'otel-audit-upgrade-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

describe('a database with the schema of an older version', () => {
  for (const number of released) {
    it(`migration ${number}, is migrated forward, verifies, and is what a new one is`, async (t) => {
      const url = await databaseFor(t)
      const dump = join(import.meta.dirname, `fixtures/schema-${String(number).padStart(4, '0')}.sql.gz`)
      await queryOnce(url, gunzipSync(readFileSync(dump)).toString())
      const client = await connectionFor(t, url)
      const all = readMigrations().map((migration) => migration.number)
      assert.deepEqual(
        await migrateUp(client),
        all.filter((one) => one > number),
      )
      assert.deepEqual((await migrationStatus(client)).pending, [])
      const differences = (await inspectSchema(client)).filter(({ kind }) => kind !== 'role')
      assert.deepEqual(differences, [])

      const waiting = number >= 2 ? 2 : 0
      const seen = new SeenHeadFile(folderFor(t))
      const admit = (input: unknown) => convertEvent(input)
      const sequencing = new Sequencing({ url, signer: keys.signer, service: 'app', admit, seen })
      assert.equal(await sequencing.drain(AbortSignal.timeout(30_000)), waiting)
      const report = await verifySource(createPostgresSource(url), { verifiers: [keys.verifier] })
      assert.deepEqual([report.verdict, report.findings], ['INTACT', []])
      assert.equal(report.streams.find(({ stream }) => stream.startsWith('019b7c2f-1111'))?.records, records)
    })
  }
})

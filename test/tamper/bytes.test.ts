/** The change of single bytes in its short form: some bytes of 20 records in every source. The whole: `npm run test:tamper -- exhaustive`. */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { databaseFor } from '../support/postgres.ts'
import type { ByteTally } from './bytes.ts'
import { shortTrail, tryDatabase, tryFiles } from './exhaustive.ts'

/** Prime, so that every bit and every place of a record has its turn. */
const step = 101

function assertFound({ title, tried, findings, missed }: ByteTally): void {
  assert.deepEqual(missed, [], title)
  assert.ok(tried > 0 && (findings > 0 || title.startsWith('closed.')), title)
}

it('a changed byte is found in every file and folder, save in the final checkpoint or beside the records', async () => {
  const titles: string[] = []
  for await (const tally of tryFiles(shortTrail(), { step, from: 7 })) {
    assertFound(tally)
    titles.push(tally.title)
  }
  const names = ['audit.ndjson', 'closed.ndjson.gz', 'closed.ndjson.zst', 'collector.jsonl', 'spool', 'archive']
  assert.deepEqual(titles, names)
})

it('a changed byte or column is found in a database, save in the final checkpoint', async (t) => {
  assertFound(await tryDatabase(await databaseFor(t), shortTrail(), { step: 211, from: 7 }))
})

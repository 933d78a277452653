/** docs/postgres.md: its recipes run, and its roles and tables are those that there are. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { roles } from '../../src/postgres/roles.ts'
import { migratedDatabase } from '../support/migrated.ts'

const document = readFileSync(new URL('../../docs/postgres.md', import.meta.url), 'utf8')

function sectionOf(title: string): string {
  const from = document.indexOf(`\n## ${title}\n`)
  assert.ok(from > 0, title)
  return document.slice(from, document.indexOf('\n## ', from + 1))
}

test('every recipe of the queries runs', async (t) => {
  const { connection } = await migratedDatabase(t)
  const recipes = [...sectionOf('Queries').matchAll(/```sql\n([^`]+)```/g)].map(([, sql = '']) => sql)
  assert.ok(recipes.length >= 5)
  for (const sql of recipes) await connection.query(sql)
})

test('the roles are those that are made, with what they are for', () => {
  const named = [...sectionOf('Roles').matchAll(/^\| `(audit_\w+)` \| (.+) \|$/gm)].map(([, name, purpose]) => [
    name,
    purpose,
  ])
  assert.deepEqual(
    named.slice(1),
    roles.map(({ name, purpose }) => [name, purpose]),
  )
})

test('every table of the schema is named', async (t) => {
  const { connection } = await migratedDatabase(t)
  const { rows } = await connection.query<{ name: string }>(
    `select relname as name from pg_class where relnamespace = 'audit'::regnamespace and relkind in ('r', 'p')
     and not relispartition`,
  )
  const unnamed = rows.filter(({ name }) => !sectionOf('Schema').includes(`\`audit.${name}\``))
  assert.deepEqual(unnamed, [])
})

/** docs/architecture.md against the code: the way of an event names what is there, and stays short. */

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { quotedIn, readDocument, root, tableOf } from './markdown.ts'

const document = readDocument('docs/architecture.md')
const steps = tableOf(document, 'room', 'file', 'function')

it('the way of an event passes at most eight rooms', () => {
  const rooms = new Set(steps.map(([room]) => room))
  assert.equal(rooms.size, 6, 'the text says six')
  assert.ok(rooms.size <= 8)
  for (const [room = '', file = ''] of steps) assert.equal(quotedIn(file)[0]?.split('/')[1], room)
})

it('each step is a function of the file it names', () => {
  for (const [, file = '', name = ''] of [...steps, ...tableOf(document, 'thread', 'file', 'function')]) {
    const source = readDocument(quotedIn(file)[0] ?? '')
    assert.match(source, new RegExp(`\\b${quotedIn(name)[0]}\\b *(?:\\(|:)`), `${name} in ${file}`)
  }
})

it('every room that exists stands on its floor', () => {
  const floors = tableOf(document, 'floor', 'rooms').flatMap(([, rooms = '']) => quotedIn(rooms))
  const rooms = readdirSync(join(root, 'src'), { withFileTypes: true })
    .filter((one) => one.name !== 'index.ts')
    .map((one) => (one.isDirectory() ? `src/${one.name}/` : `src/${one.name}`))
  assert.deepEqual(floors.toSorted(), rooms.toSorted())
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkConsistency, Frontier } from '../../src/chain/merkle.ts'
import { Progress } from '../../src/witness/progress.ts'
import { leafOf, makeKeys, makeTrail } from '../support/trail.ts'

const stream = '019b7c2f-1111-7000-8000-000000000001'
const { lines } = makeTrail({ stream, keys: makeKeys('prod'), records: 40, interval: 9 })
const bytesOf = (line = '') => ({ bytes: Buffer.from(line) })

function rootOf(size: number): Buffer {
  const tree = new Frontier()
  for (const line of lines.slice(0, size)) tree.append(leafOf(line))
  return tree.root()
}

test('what a witness is asked proves every size from every size, also read back from its file', () => {
  for (const from of [1, 7, 16, 31]) {
    let progress = new Progress(stream)
    for (const line of lines.slice(0, from)) progress.count(bytesOf(line))
    assert.deepEqual(progress.question('w1'), { oldSize: 0, proof: [] })
    progress.reach('w1')
    for (let size = from + 1; size <= lines.length; size += 1) {
      progress.count(bytesOf(lines[size - 1]))
      const again = Progress.fromJson(JSON.parse(JSON.stringify(progress.toJson())))
      assert.ok(again !== undefined)
      progress = again
      const { oldSize, proof } = progress.question('w1')
      const claim = { size1: oldSize, size2: size, root1: rootOf(from), root2: rootOf(size), proof }
      assert.ok(oldSize === from && checkConsistency(claim), `${from} to ${size}`)
    }
  }
})

test('checkpoints and what witnesses said call for no further question', () => {
  const progress = new Progress(stream)
  progress.settle()
  const sealed = (type: string) => bytesOf(`{"action":"${type}","details":{},"event_type":"${type}","seq":1}`)
  progress.count(sealed('audit.checkpoint'))
  progress.count(sealed('audit.anchored'))
  assert.equal(progress.hasNews, false)
  progress.count(sealed('audit'))
  assert.equal(progress.hasNews, true)
})

test('a file that does not fit itself is none', () => {
  const progress = new Progress(stream)
  for (const line of lines.slice(0, 5)) progress.count(bytesOf(line))
  const whole = progress.toJson() as Record<string, unknown>
  assert.ok(Progress.fromJson(whole) !== undefined)
  for (const broken of [undefined, {}, { ...whole, size: 8 }, { ...whole, tree: [] }, { ...whole, witnesses: [{}] }])
    assert.equal(Progress.fromJson(broken), undefined)
})

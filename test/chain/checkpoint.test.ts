import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type CheckpointDetails,
  checkpointDetails,
  formatCheckpoint,
  openCheckpoint,
  originOf,
  parseCheckpoint,
} from '../../src/chain/checkpoint.ts'
import { leafHash } from '../../src/chain/hash.ts'
import { Frontier } from '../../src/chain/merkle.ts'
import { signNote } from '../../src/chain/note.ts'
import roots from '../vectors/rfc6962-roots.json' with { type: 'json' }
import { flippedBytes } from './flip.ts'
import { newSigner, verifierOf } from './signers.ts'

const stream = '0197c2f4-6d5e-7c3a-8b1f-2a9d4e6f8071'
const origin = originOf('prod', stream)
const signer = newSigner('prod')
const verifiers = [verifierOf(signer.verifierKey)]

const frontierOf = (size: number): Frontier => {
  const frontier = new Frontier()
  for (let index = 0; index < size; index++) frontier.append(leafHash(`record ${index}`))
  return frontier
}
const problemOf = (details: unknown, of: string | undefined = origin): string | undefined =>
  openCheckpoint(details, of, verifiers).problem

/** Details whose note says what it is told to, signed all the same. */
const signed = (text: string, frontier: unknown = []): unknown => ({ note: signNote(text, signer), frontier })

test('a checkpoint reads as its format says', () => {
  const root = Buffer.from(roots.rootsHexBySize[8] ?? '', 'hex')
  const text = `prod/${stream}\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n`
  assert.equal(formatCheckpoint({ origin, size: 8, root }), text)
  assert.deepEqual(parseCheckpoint(text), { origin, size: 8, root })
})

test('texts that are not a checkpoint are malformed', () => {
  const root = Buffer.alloc(32).toString('base64')
  const wrong = {
    empty: '',
    'no last newline': `a/b\n1\n${root}`,
    'an extension line': `a/b\n1\n${root}\nmore\n`,
    'no origin': `\n1\n${root}\n`,
    'a signed size': `a/b\n+1\n${root}\n`,
    'a leading zero': `a/b\n01\n${root}\n`,
    'a size in hex': `a/b\n0x1\n${root}\n`,
    'a fraction': `a/b\n1.0\n${root}\n`,
    'a size with space': `a/b\n 1\n${root}\n`,
    'an Arabic digit': `a/b\n١\n${root}\n`,
    'a size of 2^53': `a/b\n9007199254740992\n${root}\n`,
    'a size without end': `a/b\n${'9'.repeat(400)}\n${root}\n`,
    'a short root': `a/b\n1\n${Buffer.alloc(31).toString('base64')}\n`,
    'a long root': `a/b\n1\n${Buffer.alloc(33).toString('base64')}\n`,
    'a root in hex': `a/b\n1\n${Buffer.alloc(32).toString('hex')}\n`,
  }
  for (const [what, text] of Object.entries(wrong)) {
    const parsed = parseCheckpoint(text)
    assert.ok('problem' in parsed && parsed.problem === 'malformed', what)
  }
  assert.ok(!('problem' in parseCheckpoint(`a/b\n${Number.MAX_SAFE_INTEGER}\n${root}\n`)))
})

test('a checkpoint of every size opens, and its frontier grows on', () => {
  for (let size = 0; size <= 40; size++) {
    const frontier = frontierOf(size)
    const details = JSON.parse(JSON.stringify(checkpointDetails(frontier, origin, signer)))
    const opened = openCheckpoint(details, origin, verifiers)
    assert.equal(opened.problem, undefined)
    assert.equal(opened.size, size)
    assert.equal(opened.origin, origin)
    assert.deepEqual(opened.root, frontier.root())
    assert.deepEqual(opened.signers, verifiers)
    frontier.append(leafHash('next'))
    opened.frontier.append(leafHash('next'))
    assert.deepEqual(opened.frontier.root(), frontier.root())
  }
})

test('no byte of the details of a checkpoint can change', () => {
  const text = JSON.stringify(checkpointDetails(frontierOf(11), origin, signer))
  for (const flipped of flippedBytes(Buffer.from(text)))
    assert.notEqual(problemOf(parseJson(flipped.toString())), undefined, flipped.toString())
})

test('without a known origin any origin of the key is accepted, and named', () => {
  const opened = openCheckpoint(checkpointDetails(frontierOf(3), origin, signer), undefined, verifiers)
  assert.equal(opened.problem === undefined && opened.origin, origin)
})

test('a checkpoint of another stream or deployment is refused', () => {
  const details = checkpointDetails(frontierOf(3), origin, signer)
  assert.equal(problemOf(details, originOf('prod', '0197c2f4-6d5e-7c3a-8b1f-000000000000')), 'wrong_origin')
  assert.equal(problemOf(details, originOf('staging', stream)), 'wrong_origin')
})

test('a key that is trusted for one deployment cannot speak for another', () => {
  const intruder = newSigner('staging')
  const trusted = [...verifiers, verifierOf(intruder.verifierKey)]
  const details = checkpointDetails(frontierOf(3), origin, intruder)
  assert.equal(openCheckpoint(details, origin, trusted).problem, 'wrong_origin')
  assert.equal(openCheckpoint(details, undefined, trusted).problem, 'wrong_origin')
})

test('a rotated key opens the checkpoints it signed, under the same name', () => {
  const rotated = newSigner('prod')
  const both = [...verifiers, verifierOf(rotated.verifierKey)]
  for (const key of [signer, rotated])
    assert.equal(openCheckpoint(checkpointDetails(frontierOf(3), origin, key), origin, both).problem, undefined)
})

test('a deployment may hold slashes', () => {
  const key = newSigner('example.com/billing')
  const named = originOf('example.com/billing', stream)
  const details = checkpointDetails(frontierOf(2), named, key)
  assert.equal(openCheckpoint(details, named, [verifierOf(key.verifierKey)]).problem, undefined)
})

test('each refusal says which rule was broken', () => {
  const good = checkpointDetails(frontierOf(5), origin, signer)
  const root = frontierOf(5).root()
  const stranger = checkpointDetails(frontierOf(5), origin, newSigner('prod'))
  const forged: CheckpointDetails = { ...good, note: good.note.replace('\n5\n', '\n6\n') }
  const [first = '', ...rest] = good.frontier
  const rows: readonly (readonly [what: string, details: unknown, problem: string])[] = [
    ['another size under the signature', forged, 'bad_signature'],
    ['a key nobody knows', stranger, 'unknown_key'],
    ['a signed text that is no checkpoint', signed('hello\n'), 'malformed'],
    ['a signed size beyond 2^53', signed(`${origin}\n9007199254740993\n${root.toString('base64')}\n`), 'malformed'],
    ['an origin without a stream', signed(`prod\n5\n${root.toString('base64')}\n`, good.frontier), 'wrong_origin'],
    ['a hash too few', { ...good, frontier: rest }, 'frontier_mismatch'],
    ['a hash too many', { ...good, frontier: [first, ...good.frontier] }, 'frontier_mismatch'],
    ['the hashes swapped', { ...good, frontier: good.frontier.toReversed() }, 'frontier_mismatch'],
    ['a hash that is none', { ...good, frontier: [first, 7] }, 'frontier_mismatch'],
    ['a hash of 31 bytes', { ...good, frontier: [first, Buffer.alloc(31).toString('base64')] }, 'frontier_mismatch'],
    ['the frontier of another tree', { ...good, frontier: frontierOf(6).hashes() }, 'frontier_mismatch'],
    ['no note', { frontier: [] }, 'malformed'],
    ['no frontier', { note: good.note }, 'malformed'],
  ]
  for (const [what, details, problem] of rows) assert.equal(problemOf(details, undefined), problem, what)
})

test('whatever stands in the details, opening refuses and never throws', () => {
  const good = checkpointDetails(frontierOf(5), origin, signer)
  const hostile = fc.oneof(
    fc.jsonValue(),
    fc.record({ note: fc.oneof(fc.jsonValue(), fc.constant(good.note)), frontier: fc.jsonValue() }),
    fc.constantFrom(undefined, null, 0, '', [], () => {}),
  )
  fc.assert(fc.property(hostile, (details) => assert.notEqual(problemOf(details), undefined)))
})

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // A change that leaves no JSON is refused before it comes here.
  }
}

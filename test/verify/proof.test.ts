/** Proofs of single records: made from every kind of file, checked without one, and refused when anything is changed. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkProof, formatProof, parseProof } from '../../src/verify/proof.ts'
import { createProof } from '../../src/verify/prove.ts'
import { createNdjsonSource } from '../../src/verify/sources/ndjson.ts'
import { createOtlpSource } from '../../src/verify/sources/otlp.ts'
import { makeKeys, makeTrail, TrailWriter, toNdjson, toOtlp } from '../support/trail.ts'

const keys = makeKeys('prod')
const stream = '019b7c2f-1111-7000-8000-000000000001'
const trail = makeTrail({ stream, keys, records: 54, interval: 16 }).lines
const verifiers = [keys.verifier]

function sourceOf(text: string, kind: 'ndjson' | 'otlp' = 'ndjson') {
  const openBytes = async function* (): AsyncGenerator<Buffer> {
    yield Buffer.from(text)
  }
  return kind === 'ndjson' ? createNdjsonSource('copy', openBytes) : createOtlpSource('copy', openBytes)
}

async function proofOf(sequence: number, lines: readonly string[] = trail) {
  const created = await createProof(sourceOf(toNdjson(lines)), { sequence }, verifiers)
  assert.ok(created.problem === undefined, JSON.stringify(created))
  return created
}

describe('a proof', () => {
  it('of every covered record checks, from a file and from a collector', async () => {
    for (let sequence = 1; sequence < trail.length; sequence += 1) {
      const { proof, record } = await proofOf(sequence)
      assert.deepEqual(record, Buffer.from(trail[sequence - 1] ?? ''))
      const checked = checkProof(proof, record, verifiers)
      assert.ok(checked.problem === undefined, JSON.stringify(checked))
      assert.deepEqual(
        [checked.stream, checked.sequence, checked.checkpoint.origin],
        [stream, sequence, `prod/${stream}`],
      )
      const other = await createProof(sourceOf(toOtlp(trail), 'otlp'), { sequence }, verifiers)
      assert.equal(other.problem === undefined && other.proof, proof)
    }
  })

  it('is the same from a copy that begins at the checkpoint before', async () => {
    const whole = await proofOf(40)
    assert.equal((await proofOf(40, trail.slice(34))).proof, whole.proof)
  })

  it('can be asked for by id', async () => {
    const id = JSON.parse(trail[24] ?? '').id
    const created = await createProof(sourceOf(toNdjson(trail)), { id }, verifiers)
    assert.equal(created.problem === undefined && created.sequence, 25)
  })

  it('proves nothing once a byte of it is changed', async () => {
    const { proof, record } = await proofOf(25)
    const bytes = Buffer.from(proof)
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 7))
      const checked = checkProof(changed.toString('utf8'), record, verifiers)
      assert.ok(checked.problem !== undefined, `byte ${at}`)
    }
  })

  it('proves nothing of a record of which a byte is changed', async () => {
    const { proof, record } = await proofOf(25)
    for (let at = 0; at < record.length; at += 1) {
      const changed = Buffer.from(record)
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8))
      assert.ok(checkProof(proof, changed, verifiers).problem !== undefined, `byte ${at}`)
    }
  })

  it('proves nothing with a key of somebody else, nor of another stream or deployment', async () => {
    const { proof, record } = await proofOf(25)
    assert.equal(checkProof(proof, record, [makeKeys('other').verifier]).problem, 'unknown_key')
    assert.equal(checkProof(proof, record, []).problem, 'unknown_key')
    assert.equal(checkProof(proof, Buffer.from(trail[25] ?? ''), verifiers).problem, 'other_record')
    const staging = makeKeys('staging')
    const borrowed = new TrailWriter(stream, staging, 'prod').open().act(3).close().lines
    const created = await createProof(sourceOf(toNdjson(borrowed)), { sequence: 2 }, [])
    assert.ok(created.problem === undefined)
    assert.equal(checkProof(created.proof, created.record, [staging.verifier]).problem, 'wrong_origin')
  })

  it('is read and written the same, with or without an extra line', () => {
    const proof = { index: 24, hashes: [Buffer.alloc(32, 1), Buffer.alloc(32, 2)], checkpoint: 'a\n1\nb\n\n— c d\n' }
    const text = formatProof(proof)
    assert.deepEqual(parseProof(text), proof)
    assert.deepEqual(parseProof(text.replace('index', 'extra AAAA\nindex')), proof)
    for (const broken of [
      '',
      text.replace('v1', 'v2'),
      text.replace('index 24', 'index 024'),
      text.replace('index 24', 'index 9007199254740993'),
      text.replace('index', 'extra !\nindex'),
      text.replace(/^AQEB.*$/m, 'AQEB'),
      text.replace('\n\n', '\n'),
      `c2sp.org/tlog-proof@v1\nindex 0\n${`${Buffer.alloc(32).toString('base64')}\n`.repeat(54)}\nx`,
    ])
      assert.ok('problem' in parseProof(broken), broken)
  })
})

describe('no proof is made', () => {
  const problemOf = async (lines: readonly string[], wanted: object, believed = verifiers) =>
    (await createProof(sourceOf(toNdjson(lines)), wanted, believed)).problem

  it('of a record that is not there, or that nothing covers yet', async () => {
    assert.equal(await problemOf(trail, { sequence: 61 }), 'not_found')
    assert.equal(await problemOf(trail, { id: 'x' }), 'not_found')
    assert.equal(await problemOf(trail, { sequence: 60 }), 'uncovered')
    assert.equal(await problemOf(trail, { sequence: 25 }, [makeKeys('prod', 2).verifier]), 'uncovered')
  })

  it('from a copy that lacks a neighbour, or in which one was edited', async () => {
    assert.equal(await problemOf(trail.toSpliced(27, 1), { sequence: 25 }), 'incomplete')
    assert.equal(await problemOf(trail.with(27, trail[27]?.replace('u-28', 'u-82') ?? ''), { sequence: 25 }), 'damaged')
  })

  it('where it is not said which of two records is meant', async () => {
    const other = makeTrail({ stream: '019b7c2f-2222-7000-8000-000000000002', keys, records: 20, interval: 8 }).lines
    assert.equal(await problemOf([...trail, ...other], { sequence: 5 }), 'ambiguous')
    assert.equal(await problemOf([...trail, ...other], { sequence: 5, stream }), undefined)
    const forged = trail[24]?.replace('u-25', 'u-52') ?? ''
    assert.equal(await problemOf([...trail, forged], { sequence: 25 }), 'ambiguous')
  })
})

/** Erased values as verification sees them: by whose word, and in copies that never held a value. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commitmentTo, discloseValue } from '../../src/event/commit.ts'
import type { StoredRecord } from '../../src/event/record.ts'
import type { Source } from '../../src/verify/source.ts'
import type { TrustFile } from '../../src/verify/trust.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { chainOf } from '../support/record-chain.ts'

const digest = commitmentTo(discloseValue('/actor/name', 'Ann'))
const committing = chainOf(2, { members: () => ({ commitments: { '/actor/name': digest } }) })
const erasing = chainOf(1, {
  members: () => ({
    event_type: 'audit.erased',
    action: 'audit.erased',
    details: { subject_digests: [digest], count: 1 },
  }),
})

function sourceOf(records: readonly StoredRecord[], isDatabase: boolean): Source {
  return {
    kind: isDatabase ? 'postgres' : 'ndjson',
    name: 'copy',
    ordered: false,
    beginsLater: false,
    locate: (position) => `line ${position}`,
    ...(isDatabase && { readDisclosed: async () => [] }),
    async *read() {
      yield records.map(({ bytes }, position) => ({ bytes, position, ...(isDatabase && { disclosed: [] }) }))
    },
  }
}

async function saidOf(records: readonly StoredRecord[], isDatabase: boolean, trust?: TrustFile): Promise<unknown[]> {
  const { findings, observations } = await verifySource(sourceOf(records, isDatabase), {
    verifiers: [],
    allowUnanchored: true,
    trust,
  })
  assert.deepEqual(findings, [])
  return observations
    .filter(({ verdict }) => verdict !== 'UNANCHORED')
    .map(({ verdict, stream }) => [verdict, stream === committing[0]?.stream ? 'its own' : 'operations'])
}

test('a value that is not disclosed is ERASED by the word of the trail, whatever comes first, and else no finding', async () => {
  assert.deepEqual(await saidOf([...committing, ...erasing], true), [['ERASED', 'its own']])
  assert.deepEqual(await saidOf([...erasing, ...committing], true), [['ERASED', 'its own']])
  assert.deepEqual(await saidOf(committing, true), [['INTACT', 'its own']])
})

test('the word of a stream that the trust file does not let operate counts for nothing', async () => {
  const trust = { keys: [], origins: undefined, operators: [{ origin: 'prod/*' }] } as unknown as TrustFile
  assert.deepEqual(await saidOf([...committing, ...erasing], true, trust), [['INTACT', 'its own']])
})

test('a copy that never held a value is held to none: it repeats what the trail says', async () => {
  assert.deepEqual(await saidOf(committing, false), [])
  assert.deepEqual(await saidOf([...committing, ...erasing], false), [['ERASED', 'operations']])
})

/** Runs against links: whatever was done to a copy, gathering its records changes nothing of the report. */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { Gatherer } from '../../src/verify/gatherer.ts'
import { type Link, readLink } from '../../src/verify/link.ts'
import type { Source } from '../../src/verify/source.ts'
import { createNdjsonSource } from '../../src/verify/sources/ndjson.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { makeKeys, makeTrail, toNdjson } from '../support/trail.ts'

const keys = makeKeys('prod')
const streams = ['019b7c2f-1111-7000-8000-000000000001', '019b7c2f-1111-7000-8000-000000000002'] as const
const trails = [
  makeTrail({ stream: streams[0], keys, records: 90, interval: 30 }).lines,
  makeTrail({ stream: streams[1], keys, records: 40, interval: 7 }).lines,
]

/** Something done to the lines of a copy, at two places. */
const act = fc.record({
  what: fc.constantFrom('remove', 'repeat', 'swap', 'edit', 'move', 'forge', 'cut', 'age'),
  one: fc.nat(200),
  other: fc.nat(200),
})

type Act = typeof act extends fc.Arbitrary<infer One> ? One : never

function damage(lines: string[], { what, one, other }: Act): string[] {
  const [at, to] = [one % lines.length, other % lines.length]
  const line = lines[at] ?? ''
  switch (what) {
    case 'remove':
      return lines.toSpliced(at, 1 + (other % 4))
    case 'repeat':
      return lines.toSpliced(to, 0, ...lines.slice(at, at + 1 + (other % 9)))
    case 'swap':
      return lines.with(at, lines[to] ?? '').with(to, line)
    case 'edit':
      return lines.with(at, line.replace('"u-', '"m-'))
    case 'move':
      return lines.toSpliced(at, 3).toSpliced(Math.min(to, lines.length - 3), 0, ...lines.slice(at, at + 3))
    case 'forge':
      return lines.toSpliced(to, 0, line.replace('"epoch":1', '"epoch":2'))
    case 'cut':
      return lines.with(at, line.slice(0, other))
    default:
      return lines.with(at, line.replace(/"recorded":"20../, '"recorded":"2020'))
  }
}

function sourceOf(lines: readonly string[]): Source {
  return createNdjsonSource('copy', async function* () {
    yield Buffer.from(toNdjson(lines))
  })
}

/** The same, with something to compare beside each record: then each is read by itself, by the parser. */
function oneByOne(source: Source): Source {
  const read = async function* () {
    for await (const group of source.read())
      yield group.map((one) => (one.damage === undefined ? { ...one, checkProjection: () => undefined } : one))
  }
  return { ...source, read }
}

it('the report of a copy is the same, whole or damaged, whether its records are gathered or not', async () => {
  const acts = fc.array(act, { maxLength: 4 })
  await fc.assert(
    fc.asyncProperty(fc.boolean(), acts, fc.boolean(), async (isMixed, done, hasKeys) => {
      const [first = [], second = []] = trails
      const mixed = first.flatMap((line, index) => [line, ...second.slice(index, index + 1)])
      const lines = done.reduce(damage, isMixed ? mixed : first)
      fc.pre(lines.length > 3)
      const options = { verifiers: hasKeys ? [keys.verifier] : [] }
      const gathered = await verifySource(sourceOf(lines), options)
      assert.deepEqual(gathered, await verifySource(oneByOne(sourceOf(lines)), options))
    }),
    { numRuns: 60 },
  )
})

it('every record is handed over once, in order, as it is by itself', () => {
  const lines = [...(trails[0] ?? []), ...(trails[1] ?? [])]
  const found = lines.map((line, position) => ({ bytes: Buffer.from(line), position }))
  const [links, runs]: [Link[], number[]] = [[], []]
  const gatherer = new Gatherer({
    isOrdered: true,
    onLink: (link) => links.push(link),
    onRun(run) {
      links.push(...run.links())
      runs.push(run.count)
    },
  })
  for (const one of found) assert.ok(gatherer.take(one))
  gatherer.flush()
  assert.deepEqual(links, found.map(readLink))
  assert.ok(Math.max(...runs) >= 29, `runs of ${runs}`)
})

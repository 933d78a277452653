import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { cacheDirectory, installOnce, partDirectory } from './cache.ts'

/** An empty cache for one test. */
function useCache(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'otel-audit-cache-'))
  const { OTEL_AUDIT_CACHE } = process.env
  process.env.OTEL_AUDIT_CACHE = directory
  t.after(() => {
    if (OTEL_AUDIT_CACHE === undefined) delete process.env.OTEL_AUDIT_CACHE
    else process.env.OTEL_AUDIT_CACHE = OTEL_AUDIT_CACHE
    rmSync(directory, { recursive: true, force: true })
  })
  return directory
}

test('a part is found again by its name, version and recipe, and another recipe is another part', (t) => {
  useCache(t)
  assert.equal(partDirectory('part', '1', 'recipe'), partDirectory('part', '1', 'recipe'))
  assert.notEqual(partDirectory('part', '1', 'recipe'), partDirectory('part', '1', 'another'))
  assert.ok(partDirectory('part', '1', 'recipe').startsWith(cacheDirectory()))
})

test('a part is built once', async (t) => {
  useCache(t)
  const directory = partDirectory('part', '1', '')
  let builds = 0
  const build = async (workshop: string) => {
    builds += 1
    writeFileSync(join(workshop, 'binary'), 'first')
  }
  await installOnce(directory, build)
  await installOnce(directory, build)
  assert.equal(builds, 1)
  assert.equal(readFileSync(join(directory, 'binary'), 'utf8'), 'first')
})

test('two builds at once both finish, and one whole result stays', async (t) => {
  const cache = useCache(t)
  const directory = partDirectory('part', '1', '')
  const bothAtWork = Promise.withResolvers<void>()
  let atWork = 0
  const build = async (workshop: string) => {
    writeFileSync(join(workshop, 'binary'), 'whole')
    atWork += 1
    if (atWork === 2) bothAtWork.resolve()
    await bothAtWork.promise
  }
  await Promise.all([installOnce(directory, build), installOnce(directory, build)])
  assert.deepEqual(
    readdirSync(cache).map((name) => join(cache, name)),
    [directory],
  )
  assert.equal(readFileSync(join(directory, 'binary'), 'utf8'), 'whole')
})

test('a build that fails leaves nothing', async (t) => {
  const cache = useCache(t)
  const directory = partDirectory('part', '1', '')
  await assert.rejects(
    installOnce(directory, () => Promise.reject(new Error('no compiler'))),
    /no compiler/,
  )
  assert.deepEqual(readdirSync(cache), [])
})

test('what a killed build left behind is removed after a day, and not before', async (t) => {
  useCache(t)
  const directory = partDirectory('part', '1', '')
  const workshops: string[] = []
  const abandon = async (workshop: string) => {
    // As a killed process leaves it: the workshop stays.
    workshops.push(`${workshop.slice(0, -1)}${workshops.length}`)
    writeFileSync(`${workshops.at(-1)}`, '')
    throw new Error('killed')
  }
  for (let kill = 0; kill < 2; kill++) await installOnce(directory, abandon).catch(() => {})
  const [old, recent] = workshops
  assert.ok(old !== undefined && recent !== undefined)
  const yesterday = Date.now() / 1_000 - 25 * 3_600
  utimesSync(old, yesterday, yesterday)
  await installOnce(directory, async () => {})
  assert.deepEqual([existsSync(old), existsSync(recent)], [false, true])
})

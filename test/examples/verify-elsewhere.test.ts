/** The verifier in Python, on trails of ours as they are and after every attack of the tamper matrix. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { toNdjson } from '../support/trail.ts'
import { attacks, expectedIn, keys } from '../tamper/attacks.ts'

const root = join(import.meta.dirname, '../..')
const folder = join(root, 'examples/verify-elsewhere')
const vectors = join(root, 'test/vectors')
const missing = [['python3', '--version'] as const, ['openssl', 'version'] as const].flatMap(([command, argument]) =>
  spawnSync(command, [argument]).status === 0 ? [] : [command],
)
const skip = missing.length === 0 ? false : `needs ${missing.join(' and ')}`

interface Outcome {
  readonly exitCode: number | null
  readonly printed: string
}

function verify(argv: readonly string[], input?: string | Buffer): Outcome {
  const run = spawnSync('python3', ['-B', join(folder, 'verify.py'), ...argv], {
    encoding: 'utf8',
    ...(input !== undefined && { input }),
  })
  assert.equal(run.stderr, '')
  return { exitCode: run.status, printed: run.stdout }
}

let place: string
before(() => {
  place = mkdtempSync(join(tmpdir(), 'otel-audit-elsewhere-'))
})
after(() => rmSync(place, { recursive: true }))

describe('the verifier in Python', { skip }, () => {
  it('has at most 150 lines of at most 120 characters, and uses nothing but the standard library', () => {
    const lines = readFileSync(join(folder, 'verify.py'), 'utf8').trimEnd().split('\n')
    assert.ok(lines.length <= 150, `${lines.length} lines`)
    assert.deepEqual(
      lines.filter(({ length }) => length > 120),
      [],
    )
    const imports = lines.filter((line) => /^\s*(import|from)\b/.test(line)).join()
    const modules =
      'argparse, base64, fileinput, functools, gzip, hashlib, json, pathlib, re, subprocess, sys, tempfile'
    assert.equal(imports, `import ${modules}`)
  })

  it('finds the trail of the document intact', () => {
    const { exitCode, printed } = verify([
      join(vectors, 'records/trail.ndjson'),
      '--vkey',
      join(vectors, 'records/vkey'),
    ])
    assert.deepEqual([exitCode, printed], [0, 'INTACT: 6 records in 1 streams\n'])
  })

  it('says that nothing was verified where there is no record', () => {
    assert.deepEqual(verify(['-', '--vkey', join(vectors, 'records/vkey')], ''), {
      exitCode: 2,
      printed: 'NO_RECORDS: 0 records in 0 streams\n',
    })
  })

  it('finds every single byte that is changed, save in the final checkpoint, which nothing covers', () => {
    const run = spawnSync('python3', ['-B', '-c', flips, folder, join(vectors, 'records')], { encoding: 'utf8' })
    assert.equal(run.status, 0, run.stderr)
    const { tried, unseen } = JSON.parse(run.stdout)
    assert.ok(tried > 3_000)
    assert.deepEqual(unseen, [])
  })
})

describe('the verifier in Python and the tamper matrix', { skip }, () => {
  for (const attack of attacks) {
    const { finds, verdict = '' } = expectedIn(attack, 'ndjson') ?? {}
    if (finds === undefined) continue
    it(`${attack.name}: ${finds.join(', ') || verdict}`, () => {
      const keyFile = join(place, 'prod.vkey')
      writeFileSync(keyFile, `${keys.signer.verifierKey}\n`)
      const partial = attack.allowPartial === true || verdict === 'PRUNED' ? ['--allow-partial'] : []
      const { exitCode, printed } = verify(['-', '--vkey', keyFile, ...partial], toNdjson(attack.lines))
      if (finds.length > 0) {
        assert.equal(exitCode, 1, printed)
        for (const find of finds) assert.ok(isNamed(find, printed), `${find} in ${printed}`)
      } else if (attack.lines.length === 0) assert.equal(exitCode, 2)
      else if (attack.name === 'a record copied to the beginning')
        assert.match(printed, /^REORDERED: /m) // stricter
      else {
        assert.equal(exitCode, 0, printed)
        const said = { PRUNED: 'INTACT' }[verdict] ?? verdict
        assert.match(printed, new RegExp(`^${said}: `, 'm'))
      }
    })
  }
})

describe('the verifier in Python and a trail of createAudit', { skip }, () => {
  let directory: string
  let files: string[]
  before(() => {
    directory = mkdtempSync(join(place, 'trail-'))
    const write = (end: string) =>
      spawnSync(process.execPath, [join(import.meta.dirname, 'elsewhere-writer.ts'), directory, end], {
        encoding: 'utf8',
      })
    assert.equal(write('crash').signal, 'SIGKILL')
    const { status, stderr } = write('clean')
    assert.equal(status, 0, stderr)
    files = readdirSync(directory)
      .filter((name) => /^audit\.ndjson\.\d+/.test(name))
      .sort()
    files.push('audit.ndjson')
  })
  const vkey = () => ['--vkey', join(directory, 'audit.vkey')]
  const paths = () => files.map((name) => join(directory, name))

  it('finds it intact in the files that it was closed into, across a crash', () => {
    assert.ok(files.length > 3, `${files}`)
    const { exitCode, printed } = verify([...paths(), ...vkey()])
    assert.equal(exitCode, 0, printed)
    assert.match(printed, /^INTACT: 2\d\d records in 1 streams\n$/)
  })

  it('finds it intact in the spool, read by the reader in Python', () => {
    const spool = spawnSync('python3', ['-B', join(vectors, 'spool/read.py'), join(directory, 'spool')])
    assert.equal(spool.status, 0, spool.stderr.toString())
    const { exitCode, printed } = verify(['-', ...vkey()], spool.stdout)
    assert.deepEqual([exitCode, printed.split(':')[0]], [0, 'INTACT'])
  })

  it('misses a file that was taken away, and a record that was edited in one', () => {
    assert.match(verify([...paths().toSpliced(1, 1), ...vkey()]).printed, /^MISSING .* not in this copy$/m)
    const last = readFileSync(join(directory, 'audit.ndjson'), 'utf8')
    const edited = last.replace('"u-ann"', '"u-eve"')
    assert.notEqual(edited, last)
    const { exitCode, printed } = verify([...paths().slice(0, -1), '-', ...vkey()], edited)
    assert.equal(exitCode, 1)
    assert.match(printed, /^CONTENT_TAMPERED /m)
  })

  it('proves nothing without the key that signed it', () => {
    const { exitCode, printed } = verify([...paths(), '--vkey', join(vectors, 'records/vkey')])
    assert.equal(exitCode, 1)
    assert.match(printed, /^BAD_SIGNATURE UNANCHORED: /m)
  })
})

/** Whether a line of findings speaks of this sequence, or of the section or pair of records that holds it. */
function isNamed(find: string, printed: string): boolean {
  const [, from, to = from] = /(\d+)(?:-(\d+))?$/.exec(find) ?? []
  if (from === undefined) return true
  const spoken = printed.matchAll(/^[A-Z_]+ [0-9a-f-]{36} (\d+)(?: (?:to|and) (\d+))?:/gm)
  return [...spoken].some(([, first, last = first]) => Number(first) <= Number(to) && Number(last) >= Number(from))
}

/** In one process, with signatures checked once each: starting Python for every byte would take minutes. */
const flips = `
import contextlib, functools, io, json, sys
sys.path.insert(0, sys.argv[1])
import verify
verify.has_signed = functools.lru_cache(None)(verify.has_signed)
read = lambda name: open(sys.argv[2] + "/" + name, "rb").read()
keys, whole = [verify.parse_key(read("vkey").decode().strip())], read("trail.ndjson")
def damage(content):
    trail = verify.Trail(keys)
    with contextlib.redirect_stdout(io.StringIO()):
        for line in io.BytesIO(content):
            trail.take(line, "a line")
        trail.judge()
    return trail.found
covered = whole.rstrip(b"\\n").rfind(b"\\n") + 1
changed = (whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:] for at in range(covered))
print(json.dumps({"tried": covered, "unseen": [at for at, content in enumerate(changed) if not damage(content)]}))
`

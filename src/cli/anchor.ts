/**
 * `otel-audit anchor`: takes the newest proven checkpoint of each stream out of a verified copy and puts it where the
 * operators of the trail cannot take it back: a file, a timestamp by an authority, a Git commit. What it did is sealed
 * (`audit.anchored`) in an operations stream, where one is named.
 */

import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { refuseTimestamp, timestampRequest } from '../chain/timestamp.ts'
import { AuditError, errorText } from '../errors.ts'
import type { ControlFact } from '../event/record.ts'
import { openSource } from '../verify/sources.ts'
import { verifySource } from '../verify/verify.ts'
import { type Command, parseOptions, requireOption } from './command.ts'
import { noteOperations, operationsNoteHelp, operationsNoteOption } from './operations-note.ts'
import { printable } from './printable.ts'
import { readVerifiers } from './verifier-keys.ts'

/** What `anchor --json` prints. */
export interface AnchorReport {
  /** Verdict over the copy; with findings nothing is anchored. */
  readonly verdict: string
  readonly anchored: readonly {
    readonly stream: string
    readonly size: number
    readonly checkpoint: string
    /** The timestamp response, where an authority was asked. */
    readonly timestamp?: string
  }[]
  /** The commit, with --git; absent where nothing was new. */
  readonly commit?: string
}

const options = {
  vkey: { type: 'string', multiple: true, default: [] as string[] },
  out: { type: 'string' },
  tsa: { type: 'string' },
  git: { type: 'boolean', default: false },
  ...operationsNoteOption,
  json: { type: 'boolean', default: false },
} as const

const timeoutMs = 30_000

export const command: Command = {
  name: 'anchor',
  summary: 'keep the newest checkpoints of a trail outside of it: file, timestamp, Git',
  help: `Usage: otel-audit anchor SOURCE --vkey KEY... --out DIR [--tsa URL] [--git] [--operations DIR] [--json]

Verifies SOURCE and writes the newest checkpoint that its records lead to, for each stream, as DIR/STREAM-SIZE.checkpoint.
A copy that was rolled back or cut below it later no longer agrees with it (otel-audit verify --since). Keep DIR where
the operators of the trail cannot change it, or have others vouch for it:

Options:
  --vkey KEY   a verifier key, or a file with one a line; may be repeated
  --out DIR    where the checkpoints go; made if it does not exist
  --tsa URL    ask this authority (RFC 3161) for a timestamp of each: DIR/STREAM-SIZE.tsr. Check it with
               openssl ts -verify -data FILE.checkpoint -in FILE.tsr -CAfile CA.pem
  --git        commit what was written to the Git repository that DIR lies in; pushing it is yours
  --operations DIR
               ${operationsNoteHelp}
  --json       print one JSON object (type AnchorReport)
  -h, --help   show this

Exit codes: 0 anchored · 1 findings, nothing anchored · 2 could not

Examples:
  otel-audit anchor ./audit-spool --vkey audit.vkey --out ./anchors --tsa https://tsa.example.com
  otel-audit anchor ./audit.ndjson --vkey audit.vkey --out ./anchors --git --operations ./audit-operations
`,
  async run(argv, io) {
    const { values, positionals } = parseOptions({ args: [...argv], options, allowPositionals: true })
    const source = requireOption(positionals[0], 'SOURCE')
    const directory = requireOption(values.out, '--out')
    const verifiers = values.vkey.flatMap(readVerifiers)
    if (verifiers.length === 0) requireOption(undefined, '--vkey')
    const report = await verifySource(await openSource(source), { verifiers })
    const notes = report.exitCode === 0 ? report.streams : []
    mkdirSync(directory, { recursive: true })
    const anchored: AnchorReport['anchored'][number][] = []
    // One after the other: an authority is asked politely.
    for (const { stream, checkpoint } of notes)
      if (checkpoint !== undefined)
        anchored.push(await anchorOne({ stream, note: checkpoint, directory, tsa: values.tsa }))
    const made = values.git && anchored.length > 0 ? commit(directory, anchored) : undefined
    const result: AnchorReport = { verdict: report.verdict, anchored, ...(made !== undefined && { commit: made }) }
    if (values.operations !== undefined && anchored.length > 0)
      await noteOperations(values.operations, factsOf(result, { directory, tsa: values.tsa }), io)
    io.stdout.write(values.json ? `${JSON.stringify(result)}\n` : describe(result))
    return report.exitCode
  },
}

interface Anchoring {
  readonly stream: string
  readonly note: string
  readonly directory: string
  readonly tsa: string | undefined
}

async function anchorOne({ stream, note, directory, tsa }: Anchoring): Promise<AnchorReport['anchored'][number]> {
  const size = Number(note.split('\n')[1]) // the second line of a checkpoint, and this one was proven
  const path = join(directory, `${stream}-${size}`)
  writeFileSync(`${path}.checkpoint`, note, { flush: true })
  const written = { stream, size, checkpoint: `${path}.checkpoint` }
  if (tsa === undefined) return written
  writeFileSync(`${path}.tsr`, await askAuthority(tsa, note), { flush: true })
  return { ...written, timestamp: `${path}.tsr` }
}

/** What anchoring is in a trail: one record for each thing that was done with each checkpoint. */
function factsOf(
  { anchored, commit: made }: AnchorReport,
  { directory, tsa }: { readonly directory: string; readonly tsa: string | undefined },
): ControlFact[] {
  return anchored.flatMap(({ stream, size, checkpoint, timestamp }) => {
    const root = readFileSync(checkpoint, 'utf8').split('\n')[2] // the third line of a checkpoint
    const factOf = (kind: string, more: object): ControlFact => ({
      type: 'audit.anchored',
      details: { kind, stream, size, root, ...more },
    })
    return [
      factOf('file', { name: basename(directory) }),
      ...(timestamp === undefined
        ? []
        : [factOf('timestamp', { name: tsa, token: readFileSync(timestamp).toString('base64') })]),
      ...(made === undefined ? [] : [factOf('git', { name: basename(directory), token: made })]),
    ]
  })
}

async function askAuthority(url: string, note: string): Promise<Buffer> {
  const nonce = randomBytes(8)
  try {
    const headers = { 'content-type': 'application/timestamp-query' }
    const body = new Uint8Array(timestampRequest(note, nonce))
    const response = await fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(timeoutMs) })
    const answer = Buffer.from(await response.arrayBuffer())
    const refusal = response.ok ? refuseTimestamp(answer, note, nonce) : `HTTP status ${response.status}`
    if (refusal !== undefined) throw new Error(refusal)
    return answer
  } catch (cause) {
    const hint = 'the checkpoint was written; look at the authority, and anchor again'
    throw new AuditError('INVALID_OPTION', `--tsa ${url}: ${errorText(cause)}`, { setting: '--tsa', hint, cause })
  }
}

/** The hash of the commit; undefined where the repository has all of it already. */
function commit(directory: string, anchored: AnchorReport['anchored']): string | undefined {
  const files = anchored.flatMap(({ checkpoint, timestamp }) => (timestamp ? [checkpoint, timestamp] : [checkpoint]))
  const names = files.map((file) => basename(file))
  const text = anchored.map(({ stream, size }) => `${stream} ${size}`).join('\n')
  runGit(directory, ['add', '--', ...names])
  if (spawnSync('git', ['-C', directory, 'diff', '--cached', '--quiet', '--', ...names]).status === 0) return undefined
  runGit(directory, ['commit', '--quiet', '-m', `otel-audit checkpoints\n\n${text}`, '--', ...names])
  return runGit(directory, ['rev-parse', 'HEAD']).trim()
}

function runGit(directory: string, argv: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync('git', ['-C', directory, ...argv], { encoding: 'utf8' })
  if (status === 0) return stdout
  const reason = error === undefined ? stderr.trim() : errorText(error)
  const hint = 'name a directory in a Git repository that this user may commit to; the checkpoints were written'
  throw new AuditError('INVALID_OPTION', `--git: ${reason}`, { setting: '--git', hint })
}

function describe({ verdict, anchored }: AnchorReport): string {
  if (anchored.length === 0) return `nothing was anchored: ${verdict}; look with otel-audit verify\n`
  return anchored
    .map(({ checkpoint, timestamp }) => `${printable(checkpoint)}${timestamp ? ' with a timestamp' : ''}\n`)
    .join('')
}

/**
 * `otel-audit anchor`: takes the newest proven checkpoint of each stream out of a verified copy and puts it where the
 * operators of the trail cannot take it back: a file, a timestamp by an authority, a server, a Git commit. What it did is
 * sealed (`audit.anchored`) in an operations stream, where one is named.
 */

import { mkdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { AuditError } from '../errors.ts'
import type { ControlFact } from '../event/record.ts'
import { openSource } from '../verify/sources.ts'
import { verifySource } from '../verify/verify.ts'
import { askAuthority, commitAnchors, placedNote, publishNote, writeAnchor } from '../witness/anchor-places.ts'
import { reasonOf } from '../witness/ask.ts'
import { type Command, parseOptions, requireOption } from './command.ts'
import { noteOperations, operationsNoteHelp, operationsNoteOption } from './operations-note.ts'
import { printable } from './printable.ts'
import { readVerifiers } from './verifier-keys.ts'

/** What `anchor --json` prints. */
export interface AnchorReport {
  /** Verdict over the copy; with findings nothing is anchored. */
  readonly verdict: string
  readonly anchored: readonly AnchoredOne[]
  /** The commit, with --git; absent where nothing was new. */
  readonly commit?: string
}

/** What was done with the newest checkpoint of a stream. */
export interface AnchoredOne {
  readonly stream: string
  readonly size: number
  /** The file. */
  readonly checkpoint: string
  /** The file of the timestamp response, where an authority was asked. */
  readonly timestamp?: string
  /** Where it was put by HTTP. */
  readonly address?: string
}

const options = {
  vkey: { type: 'string', multiple: true, default: [] as string[] },
  out: { type: 'string' },
  tsa: { type: 'string' },
  url: { type: 'string' },
  git: { type: 'boolean', default: false },
  ...operationsNoteOption,
  json: { type: 'boolean', default: false },
} as const

export const command: Command = {
  name: 'anchor',
  summary: 'keep the newest checkpoints of a trail outside of it: file, timestamp, server, Git',
  help: `Usage: otel-audit anchor SOURCE --vkey KEY... --out DIR [--tsa URL] [--url URL] [--git] [--operations DIR] [--json]

Verifies SOURCE and writes the newest checkpoint that its records lead to, for each stream, as DIR/STREAM-SIZE.checkpoint.
A copy that was rolled back or cut below it later no longer agrees with it (otel-audit verify --since). Keep DIR where
the operators of the trail cannot change it, or have others vouch for it:

Options:
  --vkey KEY   a verifier key, or a file with one a line; may be repeated
  --out DIR    where the checkpoints go; made if it does not exist
  --tsa URL    ask this authority (RFC 3161) for a timestamp of each: DIR/STREAM-SIZE.tsr. Check it with
               openssl ts -verify -data FILE.checkpoint -in FILE.tsr -CAfile CA.pem
  --url URL    put each on a server that keeps files: PUT URL/STREAM-SIZE.checkpoint
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
    const anchoring = { directory, tsa: values.tsa, url: values.url }
    const anchored: AnchoredOne[] = []
    // One after the other: an authority is asked politely.
    for (const { checkpoint } of notes)
      if (checkpoint !== undefined) anchored.push(await anchorOne(checkpoint, anchoring))
    const made = values.git && anchored.length > 0 ? await commitAll(directory, anchored) : undefined
    const result: AnchorReport = { verdict: report.verdict, anchored, ...(made !== undefined && { commit: made }) }
    if (values.operations !== undefined && anchored.length > 0)
      await noteOperations(values.operations, factsOf(result, anchoring), io)
    io.stdout.write(values.json ? `${JSON.stringify(result)}\n` : describe(result))
    return report.exitCode
  },
}

interface Anchoring {
  readonly directory: string
  readonly tsa: string | undefined
  readonly url: string | undefined
}

async function anchorOne(note: string, { directory, tsa, url }: Anchoring): Promise<AnchoredOne> {
  const placed = placedNote(note) // of a checkpoint that was proven
  const { stream, size } = placed
  const checkpoint = writeAnchor(directory, placed)
  const token = tsa && (await attempt(`--tsa ${tsa}`, anchorHint, () => askAuthority(tsa, placed)))
  const timestamp = token && writeAnchor(directory, placed, token)
  const address = url && (await attempt(`--url ${url}`, anchorHint, () => publishNote(url, placed)))
  return { stream, size, checkpoint, ...(timestamp && { timestamp }), ...(address && { address }) }
}

const anchorHint = 'the checkpoint was written; look at the server, and anchor again'
const gitHint = 'name a directory in a Git repository that this user may commit to; the checkpoints were written'

async function attempt<Made>(setting: string, hint: string, make: () => Made | Promise<Made>): Promise<Made> {
  try {
    return await make()
  } catch (cause) {
    throw new AuditError('INVALID_OPTION', `${setting}: ${reasonOf(cause)}`, { setting, hint, cause })
  }
}

/** What anchoring is in a trail: one record for each thing that was done with each checkpoint. */
function factsOf({ anchored, commit }: AnchorReport, { directory, tsa }: Anchoring): ControlFact[] {
  return anchored.flatMap(({ checkpoint, timestamp, address }) => {
    const { stream, size, root } = placedNote(readFileSync(checkpoint, 'utf8'))
    const factOf = (kind: string, more: object): ControlFact => ({
      type: 'audit.anchored',
      details: { kind, stream, size, root, ...more },
    })
    const token = timestamp === undefined ? undefined : readFileSync(timestamp).toString('base64')
    return [
      factOf('file', { name: basename(directory) }),
      ...(token === undefined ? [] : [factOf('timestamp', { name: tsa, token })]),
      ...(address === undefined ? [] : [factOf('http', { name: address })]),
      ...(commit === undefined ? [] : [factOf('git', { name: basename(directory), token: commit })]),
    ]
  })
}

/** The hash of the commit; undefined where the repository has all of it already. */
function commitAll(directory: string, anchored: AnchorReport['anchored']): Promise<string | undefined> {
  const files = anchored.flatMap(({ checkpoint, timestamp }) => (timestamp ? [checkpoint, timestamp] : [checkpoint]))
  const text = anchored.map(({ stream, size }) => `${stream} ${size}`).join('\n')
  return attempt('--git', gitHint, () => commitAnchors(directory, files, text))
}

function describe({ verdict, anchored }: AnchorReport): string {
  if (anchored.length === 0) return `nothing was anchored: ${verdict}; look with otel-audit verify\n`
  return anchored
    .map(({ checkpoint, timestamp, address }) => {
      const more = `${timestamp ? ' with a timestamp' : ''}${address ? `, ${printable(address)}` : ''}`
      return `${printable(checkpoint)}${more}\n`
    })
    .join('')
}

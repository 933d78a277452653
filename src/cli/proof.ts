/** `otel-audit proof`: makes the proof of one record from a copy of a trail, and checks one without any copy. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import type { Verifier } from '../chain/note.ts'
import { AuditError, errorText } from '../errors.ts'
import { checkProof, type WantedRecord } from '../verify/proof.ts'
import { createProof } from '../verify/prove.ts'
import type { Source } from '../verify/source.ts'
import { openSource } from '../verify/sources.ts'
import { type Command, type CommandGroup, type CommandIo, parseOptions, requireOption } from './command.ts'
import { printable } from './printable.ts'
import { startProgress } from './progress.ts'
import { readVerifiers } from './verifier-keys.ts'

/** What `proof create --json` prints. */
export interface ProofCreation {
  /** Files that were written. */
  readonly proof: string
  readonly record: string
  readonly stream: string
  readonly sequence: number
  readonly deployment: string
  /** Records that the checkpoint covers. */
  readonly size: number
}

/** What `proof check --json` prints. */
export interface ProofCheck {
  readonly verdict: 'PROVEN' | 'NOT_PROVEN'
  /** 0 proven, 1 not proven, 2 no proof or no record could be read. */
  readonly exitCode: 0 | 1 | 2
  readonly stream?: string
  readonly sequence?: number
  /** Leaf hash of the record. */
  readonly hash?: string
  readonly origin?: string
  readonly size?: number
  /** Names and ids of the keys that signed. */
  readonly signers?: readonly string[]
  /** Why it is not proven. */
  readonly reason?: string
}

const create: Command = {
  name: 'proof create',
  summary: 'make the proof that one record stands in a trail',
  help: `Usage: otel-audit proof create SOURCE (--seq N [--stream STREAM] | --id ID) --out FILE [--record FILE] [--vkey KEY]... [--json]

Writes a .tlog-proof (c2sp.org/tlog-proof) of one record: the hashes that lead from it to a signed checkpoint, and that
checkpoint. Whoever has the record, this file and the verifier key needs nothing else, and sees no other record.

SOURCE is as for "otel-audit verify", but for standard input. Existing files are never overwritten.

Options:
  --seq N          the record's sequence number
  --stream STREAM  its stream, where the source holds several
  --id ID          the record's id, instead of --seq
  --out FILE       where the proof goes
  --record FILE    where the record goes; default: the proof's name with .record.json
  --vkey KEY       take only checkpoints that this key signed; a verifier key or a file of them, may be repeated
  --json           print what was written as JSON
  -h, --help       show this

Exit codes: 0 written, 1 the copy contradicts its checkpoint, 2 no such record, or none that a checkpoint covers.

Examples:
  otel-audit proof create ./audit.ndjson --seq 42 --out invoice-42.tlog-proof
  otel-audit proof create postgres://localhost/app --id 0197c2f4-6d5e-7c3a-8b1f-2a9d4e6f8071 --out login.tlog-proof
`,
  async run(argv, io) {
    const { values, positionals } = parseOptions({ args: [...argv], options: createOptions, allowPositionals: true })
    const out = requireOption(values.out, '--out')
    const wanted = readWanted(values)
    const name = readSourceName(positionals)
    const recordFile = values.record ?? recordFileOf(out)
    refuseExisting(out, '--out')
    refuseExisting(recordFile, '--record')
    const progress = values.json ? undefined : startProgress(io)
    const source = withProgress(await openSource(name), (text) => progress?.show(text))
    const created = await createProof(source, wanted, values.vkey.flatMap(readVerifiers)).finally(() =>
      progress?.clear(),
    )
    if (created.problem !== undefined) {
      const { problem, reason } = created
      io.stderr.write(`${printable(name)}: ${printable(reason)}\n`)
      if (values.json) io.stdout.write(`${JSON.stringify({ problem, reason })}\n`)
      return problem === 'damaged' ? 1 : 2
    }
    writeNew(recordFile, created.record, '--record')
    writeNew(out, created.proof, '--out')
    const { stream, sequence, deployment, size } = created
    const creation: ProofCreation = { proof: out, record: recordFile, stream, sequence, deployment, size }
    io.stdout.write(values.json ? `${JSON.stringify(creation)}\n` : formatCreation(creation))
    return 0
  },
}

const check: Command = {
  name: 'proof check',
  summary: 'check the proof of a record',
  help: `Usage: otel-audit proof check FILE --vkey KEY... [--record FILE] [--json]

Checks that the record stands in the trail as the proof says, in a checkpoint that a given key signed. Needs no copy of
the trail and no network.

Options:
  --vkey KEY     a verifier key, or a file with one a line; may be repeated
  --record FILE  the record, as it was sealed; one newline at its end is passed over; default: the proof's name with .record.json
  --json         print the result as JSON
  -h, --help     show this

Exit codes: 0 proven, 1 not proven, 2 a file could not be read.

Examples:
  otel-audit proof check invoice-42.tlog-proof --vkey audit.vkey
  otel-audit proof check login.tlog-proof --record login.json --vkey audit.vkey --json
`,
  async run(argv, io) {
    const { values, positionals } = parseOptions({ args: [...argv], options: checkOptions, allowPositionals: true })
    const file = requireOption(positionals[0], 'FILE')
    if (positionals.length > 1) throw tooMany('FILE')
    const verifiers = values.vkey.flatMap(readVerifiers)
    if (verifiers.length === 0) throw noKey()
    const proof = readInput(file, 'FILE').toString('utf8')
    const record = withoutNewline(readInput(values.record ?? recordFileOf(file), '--record'))
    return print(checkOne(proof, record, verifiers), values.json, io)
  },
}

export const command: CommandGroup = {
  name: 'proof',
  summary: 'prove that one record stands in a trail, and check such a proof: create, check',
  commands: [create, check],
}

const createOptions = {
  seq: { type: 'string' },
  stream: { type: 'string' },
  id: { type: 'string' },
  out: { type: 'string' },
  record: { type: 'string' },
  vkey: { type: 'string', multiple: true, default: [] as string[] },
  json: { type: 'boolean', default: false },
} as const

const checkOptions = {
  record: { type: 'string' },
  vkey: { type: 'string', multiple: true, default: [] as string[] },
  json: { type: 'boolean', default: false },
} as const

interface WantedOptions {
  readonly seq?: string | undefined
  readonly stream?: string | undefined
  readonly id?: string | undefined
}

function readWanted({ seq, stream, id }: WantedOptions): WantedRecord {
  if ((seq === undefined) === (id === undefined))
    throw new AuditError('INVALID_OPTION', 'a record is named by --seq or by --id', {
      setting: '--seq',
      hint: 'say --seq 42, with --stream where the source holds several streams, or --id ID',
    })
  if (id !== undefined) return { id, stream }
  const sequence = Number(seq)
  if (/^[1-9]\d*$/.test(seq ?? '') && Number.isSafeInteger(sequence)) return { sequence, stream }
  const hint = 'sequences are whole numbers from 1 on'
  throw new AuditError('INVALID_OPTION', `--seq ${seq} is no sequence number`, { setting: '--seq', hint })
}

function readSourceName(positionals: readonly string[]): string {
  const name = requireOption(positionals[0], 'SOURCE')
  if (positionals.length > 1) throw tooMany('SOURCE')
  if (name !== '-') return name
  const hint = 'store it in a file: a proof is made in several readings'
  throw new AuditError('INVALID_OPTION', 'a proof cannot be made from standard input', { setting: 'SOURCE', hint })
}

/** The source, telling how much of it has been read where it is read whole. */
function withProgress(source: Source, show: (text: string) => void): Source {
  let records = 0
  async function* counted<Group extends readonly unknown[]>(groups: AsyncIterable<Group>): AsyncGenerator<Group> {
    for await (const group of groups) {
      records += group.length
      show(`${printable(source.name)}: ${records.toLocaleString('en-US')} records read`)
      yield group
    }
  }
  const { readSealed, during } = source
  return {
    ...source,
    read: () => counted(source.read()),
    ...(readSealed && { readSealed: (range) => counted(readSealed(range)) }),
    ...(during && { during: (use) => during((one) => use(withProgress(one, show))) }),
  }
}

function recordFileOf(proof: string): string {
  return `${proof.replace(/\.tlog-proof$/, '')}.record.json`
}

/** Before the work is done. */
function refuseExisting(path: string, setting: string): void {
  if (existsSync(path)) throw unwritable(`${setting} ${path}: the file exists already`, setting)
}

function writeNew(path: string, contents: string | Uint8Array, setting: string): void {
  try {
    writeFileSync(path, contents, { flag: 'wx' })
  } catch (cause) {
    throw unwritable(`${setting} ${path}: ${errorText(cause)}`, setting, cause)
  }
}

function unwritable(problem: string, setting: string, cause?: unknown): AuditError {
  const hint = 'name another file; nothing is overwritten'
  return new AuditError('INVALID_OPTION', problem, { setting, hint, cause })
}

function readInput(path: string, setting: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    const hint = 'name the file that "otel-audit proof create" wrote'
    throw new AuditError('INVALID_OPTION', `${setting} ${path}: ${errorText(cause)}`, { setting, hint, cause })
  }
}

/** Records hold no line break of their own: one at the end is an editor's. */
function withoutNewline(bytes: Buffer): Buffer {
  return bytes.at(-1) === 0x0a ? bytes.subarray(0, -1) : bytes
}

function checkOne(proof: string, record: Buffer, verifiers: readonly Verifier[]): ProofCheck {
  const checked = checkProof(proof, record, verifiers)
  if (checked.problem === 'malformed') return { verdict: 'NOT_PROVEN', exitCode: 2, reason: checked.reason }
  if (checked.problem !== undefined) return { verdict: 'NOT_PROVEN', exitCode: 1, reason: checked.reason }
  const { stream, sequence, leaf: hash, checkpoint } = checked
  const { origin, size } = checkpoint
  const signers = checkpoint.signers.map(({ name, keyId }) => `${name}+${keyId}`)
  return { verdict: 'PROVEN', exitCode: 0, stream, sequence, hash, origin, size, signers }
}

function formatCreation({ proof, record, sequence, stream, deployment, size }: ProofCreation): string {
  return `Wrote ${proof} and ${record}: record ${sequence} of ${deployment}/${stream}, in a checkpoint of ${size} records.\n`
}

function print(result: ProofCheck, json: boolean, io: CommandIo): number {
  io.stdout.write(json ? `${JSON.stringify(result)}\n` : formatCheck(result))
  return result.exitCode
}

function formatCheck({ verdict, origin, sequence, size, signers = [], reason = '' }: ProofCheck): string {
  if (verdict === 'NOT_PROVEN') return `NOT PROVEN: ${printable(reason)}\n`
  return `PROVEN: record ${sequence} of ${printable(origin ?? '')}, in a checkpoint of ${size} records signed by ${signers.join(', ')}\n`
}

function tooMany(setting: string): AuditError {
  return new AuditError('INVALID_OPTION', `one ${setting} at a time`, {
    setting,
    hint: 'run the command again for the others',
  })
}

function noKey(): AuditError {
  const hint = 'give the verifier key that you trust, or its file: without one nothing is proven'
  return new AuditError('INVALID_OPTION', '--vkey is missing', { setting: '--vkey', hint })
}

/**
 * `otel-audit pseudonym lookup`: whose pseudonym it is. A pseudonym cannot be turned back; with the key one can make
 * those of the values that are suspected, and find them in a trail. Reads the sources as `verify` does, writes nothing,
 * and never prints the key.
 */

import { createInterface } from 'node:readline'
import { readSecretFile } from '../audit/local-files.ts'
import { errorOf } from '../audit/problem.ts'
import { AuditError } from '../errors.ts'
import { type JsonValue, pointerToken } from '../event/canonical.ts'
import { parseRecord } from '../event/record.ts'
import { createPseudonyms, type Pseudonyms, pseudonymPattern } from '../policy/redaction/pseudonym.ts'
import { expandSource, openSource } from '../verify/sources.ts'
import { type Command, type CommandGroup, parseOptions } from './command.ts'
import { printable } from './printable.ts'
import { startProgress } from './progress.ts'
import { formatCount } from './spool-arguments.ts'

/** What `pseudonym lookup --json` prints. */
export interface PseudonymLookup {
  /** In the order given; with `--of` only those whose pseudonym it is. */
  readonly values: readonly { readonly value: string; readonly pseudonym: string }[]
  /** The pseudonyms of `--of` that are of none of the values, or of another key. */
  readonly unknown: readonly string[]
  /** Records of the sources of `--in` that hold one of the pseudonyms, in order. */
  readonly records: readonly PseudonymPlace[]
  /** Records and damaged places read. */
  readonly read: number
  readonly unreadable: number
}

/** A place in a record at which a value's pseudonym stands. */
export interface PseudonymPlace {
  readonly value: string
  readonly source: string
  readonly stream: string
  readonly sequence: number
  readonly timestamp: string | null
  readonly action: string
  /** JSON pointer into the record. */
  readonly pointer: string
}

const lookup: Command = {
  name: 'pseudonym lookup',
  summary: 'whose pseudonym it is, and where it stands in a trail',
  help: `Usage: otel-audit pseudonym lookup --key-file FILE [VALUE...] [--of PSEUDONYM]... [--in SOURCE]... [--json]

Makes the pseudonyms of values, with the key that redaction used (redact.pseudonymKey), and prints which is whose.
A pseudonym cannot be turned back into its value: name the values that you suspect, one an argument, or one a line on
standard input. All forms of an IP address have one pseudonym; anything else counts letter by letter.

With --of only the values that have one of these pseudonyms are printed. With --in the records are printed in which a
value stands under its pseudonym: all that a person or an address did, without the trail naming them.

SOURCE is a spool directory or one of slots, an NDJSON file, an OTLP JSON file of a collector, or postgres://...; its
kind is found by looking. It is not verified: otel-audit verify does that.

Options:
  --key-file FILE   the file that holds the key; not readable by everybody
  --of PSEUDONYM    a pseudonym as it stands in a record; may be repeated
  --in SOURCE       where to look for the values; may be repeated
  --json            print one JSON object (type PseudonymLookup)
  -h, --help        show this

Exit codes: 0 found, 1 none of the values has a pseudonym of --of, or none stands in a source of --in, 2 could not.

Examples:
  otel-audit pseudonym lookup --key-file ./pseudonym.key ann@example.com 203.0.113.7
  otel-audit pseudonym lookup --key-file ./pseudonym.key --of pseudonym:hMqkqkcXz0yCJ6JgTnGzvYzq3ds < customers.txt
  otel-audit pseudonym lookup --key-file ./pseudonym.key ann@example.com --in ./audit-spool --json
`,
  async run(argv, io) {
    const { values: given, positionals } = parseOptions({ args: [...argv], options, allowPositionals: true })
    const pseudonyms = readKey(given['key-file'])
    for (const pseudonym of given.of) checkPseudonym(pseudonym, pseudonyms)
    const candidates = positionals.length > 0 ? positionals : await readLines()
    if (candidates.length === 0) throw noValue()
    const made = candidates.map((value) => ({ value, pseudonym: pseudonyms.pseudonymOf(value) }))
    const values = given.of.length === 0 ? made : made.filter(({ pseudonym }) => given.of.includes(pseudonym))
    const known = new Set(values.map(({ pseudonym }) => pseudonym))
    const progress = startProgress(io)
    const search = new TrailSearch(values)
    // One after the other, so that memory is that of one.
    for (const name of given.in.flatMap(expandSource)) await search.read(name, (text) => progress.show(text))
    progress.clear()
    const unknown = given.of.filter((pseudonym) => !known.has(pseudonym))
    const found: PseudonymLookup = { values, unknown, ...search.result() }
    io.stdout.write(given.json ? `${JSON.stringify(found)}\n` : formatLookup(found, given.in.length > 0))
    return values.length === 0 || (given.in.length > 0 && found.records.length === 0) ? 1 : 0
  },
}

const options = {
  'key-file': { type: 'string' },
  of: { type: 'string', multiple: true, default: [] as string[] },
  in: { type: 'string', multiple: true, default: [] as string[] },
  json: { type: 'boolean', default: false },
} as const

export const command: CommandGroup = {
  name: 'pseudonym',
  summary: 'find whose pseudonym it is, with the key: lookup',
  commands: [lookup],
}

/** The records that hold pseudonyms of the values. */
class TrailSearch {
  readonly #valueOf: ReadonlyMap<string, string>
  readonly #records: PseudonymPlace[] = []
  #read = 0
  #unreadable = 0

  constructor(values: PseudonymLookup['values']) {
    this.#valueOf = new Map(values.map(({ value, pseudonym }) => [pseudonym, value]))
  }

  async read(given: string, show: (text: string) => void): Promise<void> {
    const source = await openSource(given)
    for await (const group of source.read()) {
      for (const found of group) {
        this.#read += 1
        if (found.damage === undefined) this.#add(source.name, found.bytes)
        else this.#unreadable += 1
      }
      show(`${printable(source.name)}: ${formatCount(this.#read, 'record')}`)
    }
  }

  result(): Pick<PseudonymLookup, 'records' | 'read' | 'unreadable'> {
    return { records: this.#records, read: this.#read, unreadable: this.#unreadable }
  }

  #add(source: string, bytes: Uint8Array): void {
    const held = [...new Set(Buffer.from(bytes).toString().match(anyPseudonym))].filter((pseudonym) =>
      this.#valueOf.has(pseudonym),
    )
    if (held.length === 0) return
    const record = parseRecord(bytes)
    if (record === undefined) {
      this.#unreadable += 1
      return
    }
    // Receipts repeat the keys of the places that they name.
    const { redactions: _, ...members } = record
    const { stream, seq, timestamp, action } = members
    for (const pseudonym of held) {
      const value = this.#valueOf.get(pseudonym) ?? ''
      const place = { value, source, stream: String(stream), sequence: Number(seq) }
      for (const pointer of pointersTo(pseudonym, members as JsonValue, '')) {
        this.#records.push({ ...place, timestamp: timestamp ?? null, action: String(action), pointer })
      }
    }
  }
}

const anyPseudonym = new RegExp(pseudonymPattern, 'g')

/** Where a text stands, in values and in keys. */
function* pointersTo(text: string, value: JsonValue, pointer: string): Generator<string> {
  if (typeof value === 'string' && value.includes(text)) yield pointer
  if (typeof value !== 'object' || value === null) return
  for (const [key, member] of Object.entries(value)) {
    const below = `${pointer}/${pointerToken(key)}`
    if (key.includes(text)) yield below
    yield* pointersTo(text, member, below)
  }
}

function readKey(file: string | undefined): Pseudonyms {
  if (file === undefined || file === '') {
    throw new AuditError('INVALID_OPTION', '--key-file is missing', {
      setting: '--key-file',
      hint: 'name the file that holds redact.pseudonymKey (AUDIT_REDACT_PSEUDONYM_KEY_FILE)',
    })
  }
  const reading = readSecretFile(file, '--key-file')
  if ('problem' in reading) throw errorOf(reading.problem)
  return createPseudonyms(reading.value, `--key-file ${file}`)
}

function checkPseudonym(pseudonym: string, pseudonyms: Pseudonyms): void {
  if (pseudonyms.isOwn(pseudonym)) return
  const isOne = new RegExp(`^${pseudonymPattern}$`).test(pseudonym)
  throw new AuditError(
    'INVALID_OPTION',
    `--of ${pseudonym} ${isOne ? 'was not made with this key' : 'is no pseudonym'}`,
    {
      setting: '--of',
      hint: isOne
        ? 'give the key that was in force when the record was made'
        : 'copy it whole: pseudonym: and 27 characters',
    },
  )
}

async function readLines(): Promise<string[]> {
  if (process.stdin.isTTY) throw noValue()
  const lines: string[] = []
  for await (const line of createInterface({ input: process.stdin })) if (line !== '') lines.push(line)
  return lines
}

function noValue(): AuditError {
  return new AuditError('INVALID_OPTION', 'no VALUE was given', {
    setting: 'VALUE',
    hint: 'name the values that you suspect, or give them on standard input, one a line',
  })
}

function formatLookup({ values, unknown, records, read, unreadable }: PseudonymLookup, searched: boolean): string {
  const lines = values.map(({ value, pseudonym }) => `${pseudonym}  ${printable(value)}`)
  for (const pseudonym of unknown) lines.push(`${pseudonym}  none of the values`)
  if (!searched) return `${lines.join('\n')}\n`
  const places = records.map(
    ({ stream, sequence, timestamp, action, pointer, value }) =>
      `${printable(stream)}:${sequence}  ${printable(timestamp ?? '-')}  ${printable(action)}  ${printable(pointer)}  ${printable(value)}`,
  )
  const summary = `${formatCount(records.length, 'place')} in ${formatCount(read, 'record')}`
  const damage =
    unreadable === 0 ? [] : [`${formatCount(unreadable, 'place')} held no record: otel-audit verify says why`]
  return `${[...lines, '', ...places, summary, ...damage].join('\n')}\n`
}

/**
 * A query over copies that have no index: a spool, NDJSON, OTLP JSON, an archive. Reads each once, as it lies, and holds
 * no more than the records that are asked for. Bytes that are no record match nothing: `verify` names them.
 */

import { AuditError } from '../errors.ts'
import { parseRecord, type StoredRecord } from '../event/record.ts'
import { deriveColumns } from '../postgres/projection.ts'
import { type QueryOptions, unknownPlace } from '../postgres/query.ts'
import { expandSource, openSource } from '../verify/sources.ts'

/** Groups of matching records, in the order in which the copy holds them. */
export async function* queryCopy(text: string, options: QueryOptions): AsyncGenerator<StoredRecord[]> {
  if (options.isNewestFirst === true) return yield await newestOf(text, options)
  let left = options.limit ?? Number.POSITIVE_INFINITY
  for await (const group of matchesIn(text, options)) {
    const wanted = group.slice(0, left)
    left -= wanted.length
    if (wanted.length > 0) yield wanted
    if (left <= 0) return
  }
}

async function newestOf(text: string, { conditions, after, limit = Number.POSITIVE_INFINITY }: QueryOptions) {
  const place = after === undefined ? undefined : await findPlace(text, after)
  let newest: Dated[] = []
  for await (const group of matchesIn(text, { conditions })) {
    newest.push(...(place === undefined ? group : group.filter((one) => byTime(place, one) < 0)))
    if (newest.length > 2 * limit + 1_000) newest = newest.sort(byTime).slice(0, limit)
  }
  return newest.sort(byTime).slice(0, limit)
}

/** The record behind which a page begins. Newest first it is not known what lies behind it until it was met: read apart. */
async function findPlace(text: string, after: NonNullable<QueryOptions['after']>): Promise<Dated> {
  if (text === '-')
    throw new AuditError(
      'INVALID_OPTION',
      '--after cannot be used with --newest on standard input, which is read once',
      {
        setting: '--after',
        hint: 'name the file',
      },
    )
  for await (const group of matchesIn(text, { conditions: [] })) {
    const place = group.find(({ stream, sequence }) => stream === after.stream && sequence === after.sequence)
    if (place !== undefined) return place
  }
  throw unknownPlace(after)
}

interface Dated extends StoredRecord {
  readonly recordedAt: string
}

function byTime(one: Dated, other: Dated): number {
  if (one.recordedAt !== other.recordedAt) return one.recordedAt < other.recordedAt ? 1 : -1
  if (one.stream !== other.stream) return one.stream < other.stream ? 1 : -1
  return other.sequence - one.sequence
}

async function* matchesIn(text: string, { conditions, after }: QueryOptions): AsyncGenerator<Dated[]> {
  let isBehind = after === undefined
  // One part after the other: the output is one text.
  for (const part of expandSource(text)) {
    const source = await openSource(part)
    // Behind a record: it must be met.
    const range = after === undefined ? conditions.find(({ sealed }) => sealed !== undefined)?.sealed : undefined
    for await (const group of range === undefined ? source.read() : (source.readSealed?.(range) ?? source.read())) {
      const matching: Dated[] = []
      for (const found of group) {
        if (found.damage !== undefined) continue
        const record = storedRecord(Buffer.from(found.bytes))
        if (record === undefined) continue
        if (isBehind) {
          const { columns } = deriveColumns(record)
          if (conditions.every((condition) => condition.matches(columns)))
            matching.push({ ...record, recordedAt: columns.recorded_at ?? '' })
        } else isBehind = record.stream === after?.stream && record.sequence === after.sequence
      }
      yield matching
    }
  }
  if (!isBehind && after !== undefined) throw unknownPlace(after)
}

/** A copy of its own: a source may use its buffer again. */
function storedRecord(bytes: Buffer): StoredRecord | undefined {
  const { stream, seq } = parseRecord(bytes) ?? {}
  return stream === undefined || seq === undefined ? undefined : { stream, sequence: seq, bytes }
}

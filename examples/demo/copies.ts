/** The copies of a trail, read record by record: what arrived where. Verifying them is the command line's work. */

import { readFileSync } from 'node:fs'
import { queryOnce } from '../../test/support/postgres.ts'
import { otelAudit } from './command-line.ts'

export type CopyName = 'spool' | 'file' | 'otlp' | 'postgres'

/** One copy: where it is, as `otel-audit verify` takes it, and how its records are read. */
export interface Copy {
  readonly name: CopyName
  readonly source: string
  /** The sealed records as they stand there, one JSON text each. */
  read(): Promise<readonly string[]>
}

/** What a copy holds. */
export interface Holdings {
  /** Ids of the audit records, each once; control records of the stream itself do not count. */
  readonly ids: ReadonlySet<string>
  /** Records that stand there more than once: delivery is at least once. */
  readonly repeats: number
  /** Records that hold one of the secrets. */
  readonly leaks: number
}

export function spoolCopy(directory: string): Copy {
  const read = async () => linesOf(await otelAudit(['spool', 'export', directory]))
  return { name: 'spool', source: directory, read }
}

export function fileCopy(path: string): Copy {
  return { name: 'file', source: path, read: async () => linesOf(readFileSync(path, 'utf8')) }
}

/** The collector's file: a request a line, the record is the body of each log record. */
export function collectorCopy(path: string): Copy {
  const read = async () =>
    linesOf(readFileSync(path, 'utf8'))
      .flatMap((line) => (JSON.parse(line) as ExportRequest).resourceLogs)
      .flatMap(({ scopeLogs }) => scopeLogs)
      .flatMap(({ logRecords }) => logRecords.map(({ body }) => body.stringValue))
  return { name: 'otlp', source: path, read }
}

export function postgresCopy(url: string): Copy {
  const read = async () => {
    const rows = await queryOnce(url, `select convert_from(record, 'UTF8') as record from audit.record`)
    return rows.map(({ record }) => String(record))
  }
  return { name: 'postgres', source: url, read }
}

/** Looks through every record of a copy. */
export async function examine(copy: Copy, secrets: readonly string[]): Promise<Holdings> {
  const records = await copy.read()
  const parsed = records.map((record) => JSON.parse(record) as { readonly event_type: string; readonly id: string })
  return {
    ids: new Set(parsed.filter(({ event_type }) => event_type === 'audit').map(({ id }) => id)),
    repeats: parsed.length - new Set(parsed.map(({ id }) => id)).size,
    leaks: records.filter((record) => secrets.some((secret) => record.includes(secret))).length,
  }
}

/** What the trail itself says of the start after the crash; `undefined` when there was no crash. */
export function findRestart(path: string): { readonly sequence: number; readonly recovered: number } | undefined {
  const opened = linesOf(readFileSync(path, 'utf8'))
    .filter((line) => line.includes('"event_type":"audit.stream.opened"'))
    .map((line) => JSON.parse(line) as StreamOpened)
    .find(({ details }) => details.previous_end === 'crash')
  return opened && { sequence: opened.seq, recovered: opened.details.recovered }
}

interface StreamOpened {
  readonly seq: number
  readonly details: { readonly previous_end: string; readonly recovered: number }
}

interface ExportRequest {
  readonly resourceLogs: readonly {
    readonly scopeLogs: readonly {
      readonly logRecords: readonly { readonly body: { readonly stringValue: string } }[]
    }[]
  }[]
}

function linesOf(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '')
}

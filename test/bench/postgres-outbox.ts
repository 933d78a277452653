/**
 * How many events one sequencer seals a second, from a full outbox. For `npm run bench -- postgres`, which owns server,
 * rounds and report.
 */

import { hrtime } from 'node:process'
import { convertEvent } from '../../src/event/convert.ts'
import { withConnection } from '../../src/postgres/client.ts'
import { encodeEnlisted } from '../../src/postgres/enlisted.ts'
import { SeenHeadFile } from '../../src/postgres/seen-head.ts'
import { Sequencing } from '../../src/postgres/sequencing.ts'
import { makeKeys } from '../support/trail.ts'
import { createEvent } from './event.ts'
import type { Figures } from './figures.ts'

export interface OutboxLoad {
  readonly url: string
  /** Events that wait. */
  readonly count: number
  /** For the sequencer's file. */
  readonly directory: string
}

/** One sequencer with a full outbox: `sealedPerSecond`. */
export async function measureSequencer(load: OutboxLoad): Promise<Figures> {
  const event = encodeEnlisted(convertEvent(createEvent(0)))
  await withConnection(load, (connection) =>
    connection.query(
      `insert into audit.outbox (record_id, admitted, event)
       select gen_random_uuid(), true, convert_to($1, 'UTF8') from generate_series(1, $2::integer)`,
      [event, load.count],
    ),
  )
  const parts = { signer: makeKeys('bench').signer, service: 'bench', admit: convertEvent }
  const sequencing = new Sequencing({ ...parts, url: load.url, seen: new SeenHeadFile(load.directory) })
  const began = hrtime.bigint()
  const sealed = await sequencing.drain(new AbortController().signal)
  return { sealedPerSecond: sealed / (Number(hrtime.bigint() - began) / 1e9) }
}

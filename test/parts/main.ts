/**
 * `npm run parts [-- NAME…]`: builds the real parts that tests and the demo run against, into the user's cache.
 * What cannot be built for want of a toolchain is named together with what is skipped for it; that fails the
 * command only when the part was asked for by name.
 */

import { MissingToolError } from './build.ts'
import { cacheDirectory } from './cache.ts'
import { clickhousePython, installClickhouse } from './clickhouse.ts'
import { buildCollector, collectorBinary } from './collector.ts'
import { buildFsck, fsckBinary } from './fsck.ts'
import { fetchKafka, kafkaJars } from './kafka.ts'
import { installKms, kmsPython } from './kms.ts'
import { pgbouncerBinary, unpackPgbouncer } from './pgbouncer.ts'
import { rsyslogBinary, unpackRsyslog } from './rsyslog.ts'
import { buildVersitygw, versitygwBinary } from './versitygw.ts'

interface Part {
  readonly name: string
  /** Its path when it is installed. */
  find(): string | undefined
  build(options: { onProgress: (line: string) => void }): Promise<string>
}

const parts: readonly Part[] = [
  { name: 'collector', find: collectorBinary, build: buildCollector },
  {
    name: 'collector-kafka',
    find: () => collectorBinary('kafka'),
    build: (options) => buildCollector({ which: 'kafka', ...options }),
  },
  { name: 'kafka', find: kafkaJars, build: fetchKafka },
  { name: 'rsyslog', find: rsyslogBinary, build: unpackRsyslog },
  { name: 'pgbouncer', find: pgbouncerBinary, build: unpackPgbouncer },
  { name: 'clickhouse', find: clickhousePython, build: installClickhouse },
  { name: 'kms', find: kmsPython, build: installKms },
  { name: 'fsck', find: fsckBinary, build: buildFsck },
  { name: 'versitygw', find: versitygwBinary, build: buildVersitygw },
]

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !parts.some((part) => part.name === name))
if (unknown.length > 0) {
  console.error(`unknown part: ${unknown.join(', ')}; there are: ${parts.map((part) => part.name).join(', ')}`)
  process.exitCode = 2
} else {
  console.log(`cache: ${cacheDirectory()}`)
  // One after the other: each build uses every core.
  for (const part of parts) if (wanted.length === 0 || wanted.includes(part.name)) await install(part)
}

async function install({ name, find, build }: Part): Promise<void> {
  const found = find()
  if (found !== undefined) return console.log(`${name}: in place (${found})`)
  try {
    const path = await build({ onProgress: (line) => console.log(`${name}: ${line}`) })
    console.log(`${name}: ready (${path})`)
  } catch (thrown) {
    console.error(`${name}: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
    if (!(thrown instanceof MissingToolError) || wanted.includes(name)) process.exitCode = 1
  }
}

/** The gateway under load, once for each ready configuration, and what came of it in the database. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { otelAudit } from '../demo/command-line.ts'
import { startDatabase } from '../demo/servers.ts'
import { count, type Story } from '../demo/story.ts'
import { verify } from '../demo/verification.ts'
import { ChildProgram } from '../stage/child-program.ts'
import type { Stage } from '../stage/example.ts'
import { countEvents, measureStorage, readSealedCounts, readsBySession, type Storage } from './database.ts'
import type { GatewayReport } from './gateway.ts'
import { type Health, watchHealth } from './health.ts'
import { countRoundTrips } from './round-trips.ts'
import { callsOfUser, sendCalls } from './users.ts'

/** One run of the gateway. */
export interface Run {
  readonly calls: number
  readonly stream: string
  /** Answers of the gateway by status. */
  readonly statuses: Readonly<Record<string, number>>
  readonly report: GatewayReport
  /** Rows of the database before the gateway was asked to end, and after it has. */
  readonly rowsBefore: number
  readonly rows: number
  /** What the trail says was not recorded, by rule. */
  readonly sealed: Readonly<Record<string, number>>
  readonly roundTrips: number
  readonly health: Health
}

export interface Summary {
  readonly production: Run
  readonly loadTest: Run
  readonly sampled: Run & { readonly readsBySession: readonly number[] }
  readonly highSecurity: Run
  /** After the run with production.env. */
  readonly storage: Storage
  readonly verified: string
}

interface Gateway extends Stage {
  readonly database: string
}

const program = join(import.meta.dirname, 'gateway.ts')
const configurations = join(import.meta.dirname, '../configurations')
/** 788 MB for 995,412 rows. */
export const requestBytesPerRow = 788_000_000 / 995_412

export async function tellStory(stage: Stage): Promise<Summary> {
  const { dir, size: users, story, running } = stage
  story.open('A tool gateway, its users, and the database that must not notice')
  story.progress('starting PostgreSQL …')
  const database = await startDatabase(running, undefined)
  writeFileSync(
    join(dir, 'vkey'),
    await otelAudit(['key', 'new', '--name', 'gateway', '--out', join(dir, 'audit.key')]),
  )
  const gateway = { ...stage, database }

  story.chapter(`production.env: ${count(users)} users at once, nine calls in ten are no writes`)
  const production = await run(gateway, { name: 'production', users })
  const storage = await measureStorage(database)
  tellProduction(story, production, storage)

  story.chapter('load-test.env: audit is off, the program is the same')
  const loadTest = await run(gateway, { name: 'load-test', users: Math.ceil(users / 4) })
  tellRun(story, loadTest)

  story.chapter('Everything, of one session in ten also the reads: AUDIT_TRAIL_SAMPLE_READS=0.1')
  const sampling = { AUDIT_TRAIL_LEVEL: 'all', AUDIT_TRAIL_SAMPLE_READS: '0.1' }
  const secret = { AUDIT_POLICY_SAMPLE_SECRET: 'a secret for this example only' }
  const overrides = { ...sampling, ...secret }
  const sampled = await run(gateway, { name: 'production', as: 'sampled', users: Math.ceil(users / 4), overrides })
  const sessions = await readsBySession(database, sampled.stream)
  tellRun(story, sampled)
  story.say(`Sessions whose reads are recorded: ${sessions.length}, each with all of its reads.`)

  story.chapter('high-security.env: everything, and a deletion waits for the database')
  const highSecurity = await run(gateway, { name: 'high-security', users: Math.ceil(users / 20) })
  tellRun(story, highSecurity)

  const { sources } = await verify([database], join(dir, 'vkey'))
  const verified = sources[0]?.verdict ?? 'NO_RECORDS'
  story.chapter(`otel-audit verify, over all of it in the database: ${verified}`)
  return { production, loadTest, sampled: { ...sampled, readsBySession: sessions }, highSecurity, storage, verified }
}

interface RunOptions {
  /** The file of ../configurations without its `.env`. */
  readonly name: string
  /** What the run is called, where it is not the file's name. */
  readonly as?: string
  readonly users: number
  readonly overrides?: NodeJS.ProcessEnv
}

async function run({ dir, story, running, database }: Gateway, options: RunOptions): Promise<Run> {
  const { name, as = name, users, overrides } = options
  const counted = await countRoundTrips(database)
  running.defer(() => counted.stop())
  const gateway = running.use(
    new ChildProgram({
      program,
      nodeOptions: [`--env-file=${join(configurations, `${name}.env`)}`],
      // What is set in the environment goes before the file.
      env: {
        AUDIT_SERVICE: 'tool-gateway',
        AUDIT_DEPLOYMENT: 'gateway',
        AUDIT_SPOOL_DIRECTORY: join(dir, `spool-${as}`),
        AUDIT_KEYS_SIGNING_KEY_FILE: join(dir, 'audit.key'),
        ...(name === 'load-test' ? {} : { AUDIT_POSTGRES_URL: counted.url }),
        AUDIT_CLOSE_TIMEOUT_MS: '60000',
        ...overrides,
      },
      log: join(dir, 'gateway.log'),
    }),
  )
  const stream = await gateway.said('stream')
  const url = await gateway.said('listening')
  story.progress(`${count(users * callsOfUser)} calls …`)
  const stopWatching = watchHealth(database)
  const statuses = await sendCalls(url, users)
  const health = await stopWatching()
  const rowsBefore = await countEvents(database, stream)
  const ended = gateway.end('SIGTERM')
  const report = JSON.parse(await gateway.said('report')) as GatewayReport
  await ended
  return {
    calls: users * callsOfUser,
    stream,
    statuses,
    report,
    rowsBefore,
    rows: await countEvents(database, stream),
    sealed: await readSealedCounts(database, stream),
    roundTrips: counted.roundTrips(),
    health,
  }
}

function tellProduction(story: Story, run: Run, { tableBytesPerRow, indexBytesPerRow }: Storage): void {
  tellRun(story, run)
  const { calls, rows, rowsBefore, roundTrips, health, report } = run
  story.say(`Not recorded: ${share(1 - rows / calls)} of the events, and the trail has the counts:`)
  story.table(Object.entries(run.sealed).map(([rule, events]) => [`  ${rule}`, events]))
  const saved = share(1 - roundTrips / rows)
  story.say(
    `Round trips to the database, counted on the wire: ${count(roundTrips)} for ${count(rows)} rows, ${saved} fewer`,
  )
  story.say(`than one for each row; one for each call would have been ${count(calls)}.`)
  story.say(`Asked meanwhile, the database answered ${health.answers} times, failed ${health.failures} times,`)
  story.say(`and took at most ${health.slowestMs} ms, connecting included.`)
  const bytes = tableBytesPerRow + indexBytesPerRow
  story.say(`A row takes ${bytes} bytes, ${tableBytesPerRow} in the table and ${indexBytesPerRow} in indexes;`)
  story.say(
    `that of the request took ${Math.round(requestBytesPerRow)}. A call takes ${Math.round((bytes * rows) / calls)}.`,
  )
  story.say(
    `At SIGTERM ${count(rows - rowsBefore)} rows waited for company; they were there ${ms(report.closeMs)} later.`,
  )
}

function tellRun(story: Story, { calls, rows, report: { emit, required, receipts } }: Run): void {
  const { written = 0, suppressed = 0, emergency = 0 } = receipts
  story.table([
    ['events emitted', calls],
    ['written', written],
    ['suppressed', suppressed],
    ['to standard error', emergency],
    ['rows in the database', rows],
  ])
  story.say(`emit took ${ms(emit.p50Ms)} at the median, ${ms(emit.p99Ms)} at the 99th percentile`)
  if (required.calls > 0) {
    story.say(`emitRequired, before a deletion: ${ms(required.p50Ms)} and ${ms(required.p99Ms)}`)
  }
}

function share(part: number): string {
  return `${(part * 100).toFixed(1)} %`
}

function ms(milliseconds: number): string {
  return `${milliseconds.toFixed(milliseconds < 10 ? 3 : 0)} ms`
}

/** What is wrong, in one sentence each; nothing, if all is well. */
export function faultsOf(summary: Summary): string[] {
  const { production, loadTest, sampled, highSecurity, verified } = summary
  const runs = Object.entries({ production, loadTest, sampled, highSecurity })
  const faults = runs.flatMap(([name, run]) => faultsOfRun(run).map((fault) => `${name}: ${fault}`))
  for (const [name, { report, sealed }] of runs) {
    const accounted = Object.values(sealed).reduce((sum, events) => sum + events, 0)
    const { suppressed = 0 } = report.receipts
    // What load-test.env suppresses is sealed too, in its spool: it names no database.
    if (name !== 'loadTest' && accounted !== suppressed)
      faults.push(`${name}: ${suppressed} events were suppressed, ${accounted} are accounted for`)
  }
  if (loadTest.rows > 0) faults.push(`load-test.env recorded ${loadTest.rows} events`)
  if (highSecurity.rows !== highSecurity.calls)
    faults.push(`high-security.env recorded ${highSecurity.rows} events only`)
  if (verified !== 'INTACT') faults.push(`the database is ${verified}, not INTACT`)
  return faults
}

function faultsOfRun({ report, rows, calls, health }: Run): string[] {
  const { written = 0, suppressed = 0, emergency = 0 } = report.receipts
  return [
    ...(written + suppressed === calls ? [] : [`${calls} calls, ${written + suppressed} receipts`]),
    ...(emergency === 0 ? [] : [`${emergency} events found no room`]),
    ...(rows === written ? [] : [`${written} events were written, ${rows} are in the database`]),
    ...(health.failures === 0 ? [] : [`the database did not answer ${health.failures} times`]),
  ]
}

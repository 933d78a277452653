/**
 * The story of the demo, chapter by chapter: real parts, a service that is killed, every copy looked through and
 * verified, a trace found in SQL, a forged byte found. Tells only what it has seen.
 */

import { writeFileSync } from 'node:fs'
import type { RunningCollector } from '../../test/parts/collector.ts'
import { queryOnce } from '../../test/support/postgres.ts'
import { secretsOf } from './billing.ts'
import { otelAudit } from './command-line.ts'
import { type Copy, collectorCopy, examine, fileCopy, findRestart, postgresCopy, spoolCopy } from './copies.ts'
import { forge } from './forgery.ts'
import type { DemoOptions } from './options.ts'
import type { Places } from './places.ts'
import { databaseVersion, prepareCollector, startDatabase, startFileCollector } from './servers.ts'
import { ServiceProcess } from './service-process.ts'
import { count, type Story } from './story.ts'
import { type Examined, faultsOf, type Summary, summarize, verdictOf } from './summary.ts'
import { type Acknowledged, sendTraffic } from './traffic.ts'
import { verify } from './verification.ts'
import { users } from './visit.ts'

/** What the chapters share. */
interface Stage {
  readonly options: DemoOptions
  readonly places: Places
  readonly story: Story
  /** Whatever is put here is stopped when the demo ends, however it ends. */
  readonly servers: AsyncDisposableStack
}

interface Parts {
  readonly database: string
  readonly collector: RunningCollector | undefined
}

export interface DemoOutcome {
  readonly summary: Summary
  /** What went wrong, in plain sentences; nothing, if all is well. */
  readonly faults: readonly string[]
}

export async function runDemo(stage: Stage): Promise<DemoOutcome> {
  const { options, places, story } = stage
  story.open(`otel-audit: ${count(options.events)} requests, one SIGKILL, and a trail that can be proven`)
  const parts = await startParts(stage)
  const acknowledged = await sendAndKill(stage, parts)
  const copies = await examineCopies(stage, parts, acknowledged)
  await findTrace(stage, parts, acknowledged)
  const caught = await forgeOneByte(stage)
  const summary = summarize(acknowledged, copies)
  writeFileSync(places.summary, `${JSON.stringify(summary)}\n`)
  return { summary, faults: [...faultsOf(acknowledged, copies), ...caught] }
}

async function startParts({ options, places, story, servers }: Stage): Promise<Parts> {
  story.chapter('Real parts')
  const withCollector = options.collector && (await prepareCollector(story))
  story.progress('starting PostgreSQL …')
  const database = await startDatabase(servers, options.dir)
  const collector = withCollector ? await startFileCollector(servers, places.dir) : undefined
  story.say(`PostgreSQL ${await databaseVersion(database)}, with the schema of \`otel-audit migrate up\``)
  if (collector !== undefined) story.say(`OpenTelemetry Collector on ${collector.url}, writing collector.jsonl`)
  writeFileSync(places.verifierKey, await otelAudit(['key', 'new', '--name', 'demo', '--out', places.key]))
  story.say('A signing key of `otel-audit key new`: the service gets the key, whoever verifies gets vkey')
  return { database, collector }
}

/** Chapter 2. The service ends in order, after its last record is delivered. */
async function sendAndKill(stage: Stage, { database, collector }: Parts): Promise<Acknowledged> {
  const { options, places, story, servers } = stage
  story.chapter('A billing service audits its requests, and is killed in the middle')
  const service = servers.use(
    new ServiceProcess({
      log: places.log,
      env: {
        DEMO_SPOOL: places.spool,
        DEMO_KEY: places.key,
        DEMO_FILE: places.file,
        DEMO_POSTGRES: database,
        DEMO_COLLECTOR: collector?.url,
      },
    }),
  )
  const killAt = Math.ceil(options.events / 2)
  const acknowledged = await sendTraffic({
    requests: options.events,
    serviceUrl: () => service.url(),
    onAnswer: (answers) => {
      story.progress(`${count(answers)} of ${count(options.events)} requests answered`)
      if (answers === killAt) service.killAndRestart()
    },
  })
  story.progress('the service closes its trail and delivers what is left …')
  await service.stop()
  story.say(
    `SIGKILL after ${count(killAt)} answers: ${acknowledged.brokenOff} requests broke off, and were sent again.`,
  )
  tellRestart(stage)
  tellTraffic(story, acknowledged)
  return acknowledged
}

function tellRestart({ places, story }: Stage): void {
  const restart = findRestart(places.file)
  if (restart === undefined) return
  story.say(`The next start saw the crash, recovered ${count(restart.recovered)} records above its last synced mark,`)
  story.say(`and went on in the same chain with record ${count(restart.sequence)}.`)
}

function tellTraffic(story: Story, { emitted, written, suppressed }: Acknowledged): void {
  story.say(`${count(emitted)} events acknowledged:`)
  story.table([
    ['  written', written.size, 'on disk before the request was answered'],
    ['  suppressed', suppressed, 'reads, which the policy level writes_only does not want'],
  ])
}

async function examineCopies(stage: Stage, parts: Parts, acknowledged: Acknowledged): Promise<readonly Examined[]> {
  const { places, story } = stage
  story.chapter('Is everything there, everywhere, and unchanged?')
  // Its file is complete only when it has ended: it answers before it writes.
  await parts.collector?.stop()
  const copies: Copy[] = [spoolCopy(places.spool), fileCopy(places.file), postgresCopy(parts.database)]
  if (parts.collector !== undefined) copies.push(collectorCopy(places.collector))
  story.progress('verifying every copy …')
  const sources = copies.map(({ source }) => source)
  const { sources: reports } = await verify(sources, places.verifierKey)
  const secrets = users.flatMap(secretsOf)
  const examined: Examined[] = []
  for (const [index, report] of reports.entries()) {
    const copy = copies[index]
    // One after the other: each of them is in memory as a whole.
    if (copy !== undefined) examined.push({ name: copy.name, report, holdings: await examine(copy, secrets) })
  }
  tellCopies(story, acknowledged, examined)
  return examined
}

function tellCopies(story: Story, acknowledged: Acknowledged, copies: readonly Examined[]): void {
  story.table(
    copies.map(({ name, holdings, report }) => [
      name,
      holdings.ids.size,
      'audit records',
      verdictOf(report),
      report.checkpoints,
      `signed checkpoints${holdings.repeats > 0 ? `; ${holdings.repeats} records came twice` : ''}`,
    ]),
  )
  const { lost } = summarize(acknowledged, copies)
  story.say(
    `Lost: ${lost}. Each of the ${count(acknowledged.written.size)} acknowledged ids was looked up in each copy.`,
  )
  const unanswered = (copies[0]?.holdings.ids.size ?? 0) - acknowledged.written.size
  if (unanswered > 0) story.say(`${unanswered} more were written although the kill swallowed their answers.`)
  const leaks = copies.reduce((sum, { holdings }) => sum + holdings.leaks, 0)
  story.say(`Passwords and tokens were in the events; records that hold one: ${leaks}. Redaction comes before sealing.`)
}

/** Chapter 4: a visit that the kill cut in two, if there is one. */
async function findTrace({ story }: Stage, { database }: Parts, { interruptedTraces, traces }: Acknowledged) {
  story.chapter('From a trace to its audit events, in SQL')
  const traceId = interruptedTraces[0] ?? traces[0]
  const where = `from audit.record where trace_id = '${traceId}'`
  const columns = `to_char(occurred_at at time zone 'utc', 'HH24:MI:SS.MS') as time, seq, action, target_id, outcome`
  const epoch = `convert_from(record, 'utf8')::json ->> 'epoch' as epoch`
  const rows = await queryOnce(database, `select ${columns}, ${epoch} ${where} order by seq`)
  story.say(`select … ${where}`)
  const first = rows[0]?.epoch
  const cells = rows.map(({ time, seq, action, target_id, outcome, epoch }) => [
    String(time),
    `#${seq}`,
    ...[action, target_id ?? '', outcome].map(String),
    epoch === first ? '' : 'after the restart',
  ])
  story.table(cells)
  if (rows.at(-1)?.epoch !== first) {
    story.say('(The service kept its invoices in memory only: gone with the killed process, unlike its trail.)')
  }
}

/** Chapter 5. Gives what went wrong: nothing, when the forged record was found and named. */
async function forgeOneByte({ places, story }: Stage): Promise<string[]> {
  story.chapter('One byte is changed')
  const { sequence, action, outcome, actor, forgedActor } = forge(places.file, places.forged)
  story.say(`forged.ndjson is audit.ndjson, but for record ${count(sequence)} (${action}, ${outcome}):`)
  story.say(`its actor ${actor} became ${forgedActor}. otel-audit verify forged.ndjson --vkey vkey says:`)
  const report = await verify([places.forged], places.verifierKey)
  const finding = report.sources[0]?.findings.find((one) => one.sequence === sequence)
  if (finding === undefined) return [`the forged record ${sequence} was not found: ${report.verdict}`]
  story.say(`${finding.verdict} in record ${count(sequence)}: ${finding.detail}`)
  story.table([
    ['  expected', finding.expected ?? '-'],
    ['  found', finding.found ?? '-'],
  ])
  return []
}

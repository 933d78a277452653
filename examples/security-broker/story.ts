/**
 * The broker and its trail: a release that is over, a broker and an exporter that are killed, copies elsewhere, records of
 * both releases read alike, retention with an archive, and two forgeries.
 */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type RetainReport, readRecord } from 'otel-audit'
import { queryOnce } from '../../test/support/postgres.ts'
import { otelAudit } from '../demo/command-line.ts'
import { startDatabase } from '../demo/servers.ts'
import { count, type Story } from '../demo/story.ts'
import { verify } from '../demo/verification.ts'
import { ChildProgram } from '../stage/child-program.ts'
import type { Stage } from '../stage/example.ts'
import { actions } from './actions.ts'
import { readBucket, startBucket } from './bucket.ts'
import { configurationIn, type Exporting, exportAll, exportAndDie, writeConfiguration } from './export.ts'
import { editRecord, type Forgery, removeRecord } from './forgery.ts'
import { enterPast, pastDays, pastOptions } from './past.ts'
import { countDisagreements, countEvents, countIncomplete, countMissing, readTrail } from './review.ts'
import { Siem } from './siem.ts'
import { tables } from './state.ts'
import { type Copy, killMoments, type Summary } from './summary.ts'
import { type Confirmed, requestsOfUser, visit } from './users.ts'

interface Scene extends Exporting {
  readonly verifierKey: string
}

export async function tellStory(stage: Stage): Promise<Summary> {
  const { story, size: users } = stage
  const scene = await setUp(stage)
  await livePast(scene)
  const today = await liveToday(scene)

  story.chapter('What the database says of itself')
  const state = await review(scene)
  story.chapter('The copies elsewhere')
  const copies = await compareCopies(scene)
  story.chapter('Records of two releases, read by a consumer of today')
  const reading = readVersions(story, copies.lines)
  story.chapter('Older than 90 days: archived, verified there, removed')
  const retention = await retain(scene)
  story.chapter('Two forgeries, each on a copy of the database')
  const forged = await forge(scene)
  const { siem, s3, trail } = copies
  return { users, ...today, ...state, trail, siem, s3, ...reading, retention, ...forged }
}

async function setUp(stage: Stage): Promise<Scene> {
  const { dir, story, running } = stage
  story.open('A security broker whose audit events share the fate of their change')
  story.progress('starting PostgreSQL …')
  const database = await startDatabase(running, undefined)
  await queryOnce(database, tables)
  const siem = await Siem.start()
  running.defer(() => siem.stop())
  const bucket = await startBucket(stage)
  if (bucket === undefined) story.say('Going on WITHOUT S3: npm run parts -- versitygw builds the server')
  const [key, verifierKey] = [join(dir, 'audit.key'), join(dir, 'vkey')]
  writeFileSync(verifierKey, await otelAudit(['key', 'new', '--name', 'broker', '--out', key]))
  const scene = { ...stage, database, siem, bucket, key, verifierKey }
  writeConfiguration(scene)
  return scene
}

async function livePast(scene: Scene): Promise<void> {
  const { story, database } = scene
  const users = Math.ceil(scene.size / 4)
  story.chapter(`Release 1, ${pastDays} days ago: ${users} users`)
  const past = { ...scene, database: await enterPast(database) }
  const broker = startBroker(past, { release: '1', nodeOptions: pastOptions })
  await visit({ url: await broker.said('listening'), from: 0, to: users })
  await broker.end('SIGTERM')
  await exportAll(past)
  story.say('Its events are sealed and exported; nothing of it is in the memory of any process.')
}

async function liveToday(scene: Scene): Promise<Pick<Summary, 'answersBeforeKill' | 'lost' | 'exporterKills'>> {
  const { story, size: users, database } = scene
  story.chapter(`Release 2, today: ${users} users, and both the broker and the exporter are killed`)
  const dying = exportAndDie(scene)
  const confirmed: Confirmed[] = []
  let answersBeforeKill = 0
  const first = startBroker(scene, { release: '2' })
  const onAnswer = () => {
    answersBeforeKill += 1
    if (answersBeforeKill === Math.floor((users * requestsOfUser) / 4)) first.signal('SIGKILL')
  }
  confirmed.push(await visit({ url: await first.said('listening'), from: 1_000, to: 1_000 + users, onAnswer }))
  const second = startBroker(scene, { release: '2' })
  confirmed.push(await visit({ url: await second.said('listening'), from: 2_000, to: 2_000 + users }))
  const exporterKills = await dying
  await second.end('SIGTERM')
  await exportAll(scene)
  const lost = (await Promise.all(confirmed.map((each) => countLost(database, each)))).reduce((a, b) => a + b, 0)
  story.say(`The broker was killed after ${count(answersBeforeKill)} answers, and started again: of what it had`)
  story.say(`confirmed, ${count(lost)} are gone. The exporter was killed ${exporterKills} times: when`)
  story.say(`${killMoments.join(', when ')}.`)
  return { answersBeforeKill, lost, exporterKills }
}

function startBroker(
  { dir, key, database, running }: Scene,
  { release, nodeOptions = [] }: { release: string; nodeOptions?: readonly string[] },
): ChildProgram {
  const env = {
    BROKER_RELEASE: release,
    BROKER_DATABASE: database,
    BROKER_KEY: key,
    BROKER_DIRECTORY: join(dir, `spool-${release}`),
  }
  const program = join(import.meta.dirname, 'broker.ts')
  return running.use(new ChildProgram({ program, nodeOptions, env, log: join(dir, 'broker.log') }))
}

async function countLost(database: string, { sessions, grants, executions, revocations }: Confirmed): Promise<number> {
  const revoked = '(select id from access_grant where revoked_at is not null)'
  const counts = await Promise.all([
    countMissing(database, 'session', sessions),
    countMissing(database, 'access_grant', grants),
    countMissing(database, 'execution', executions),
    countMissing(database, revoked, revocations),
  ])
  return counts.reduce((sum, one) => sum + one, 0)
}

async function review({ story, database }: Scene): Promise<Pick<Summary, 'disagreements' | 'incomplete' | 'events'>> {
  const disagreements = await countDisagreements(database)
  const incomplete = await countIncomplete(database)
  const events = await countEvents(database)
  story.table(Object.entries(events))
  story.say(`State without its event, or an event of what was rolled back: ${disagreements}`)
  story.say(`Events without tenant, session, actor, outcome, source address, request id or version: ${incomplete}`)
  return { disagreements, incomplete, events }
}

async function compareCopies(scene: Scene) {
  const { story, database, siem, bucket, verifierKey } = scene
  const trail = await readTrail(database)
  const { sources } = await verify([database], verifierKey)
  const lines = [...siem.held.values()]
  const held = await compare(scene, { name: 'siem', lines, trail })
  const inBucket = bucket && (await readBucket(bucket))
  const s3 = inBucket && (await compare(scene, { name: 's3', lines: inBucket, trail }))
  const own = { records: trail.length, missing: 0, strange: 0, verdict: sources[0]?.verdict ?? 'NO_RECORDS' }
  const copies = Object.entries({ PostgreSQL: own, SIEM: held, ...(s3 && { S3: s3 }) })
  story.table([['', 'records', 'missing', 'strange', 'verdict'], ...copies.map(([name, copy]) => rowOf(name, copy))])
  story.say(`The SIEM was sent ${count(siem.repeats)} records again, and knew them.`)
  const { repeats, refused } = siem
  return { lines: inBucket ?? lines, trail: own.verdict, siem: { ...held, repeats, refused }, s3 }
}

function rowOf(name: string, { records, missing, strange, verdict }: Copy): (string | number)[] {
  return [name, records, missing, strange, verdict]
}

async function compare(
  { dir, verifierKey }: Scene,
  { name, lines, trail }: { name: string; lines: readonly string[]; trail: readonly string[] },
): Promise<Copy> {
  const file = join(dir, `${name}.ndjson`)
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''))
  const [here, there] = [new Set(trail), new Set(lines)]
  const { sources } = await verify([file], verifierKey)
  const missing = trail.filter((line) => !there.has(line)).length
  const strange = lines.filter((line) => !here.has(line)).length
  return { records: lines.length, missing, strange, verdict: sources[0]?.verdict ?? 'NO_RECORDS' }
}

function readVersions(story: Story, lines: readonly string[]): Pick<Summary, 'versions' | 'unreadable'> {
  const versions: Record<string, number> = {}
  let unreadable = 0
  for (const line of lines) {
    const { record, versions: passed, problem } = readRecord(actions, line)
    if (problem !== undefined) unreadable += 1
    if (record.action !== 'proxy.execute') continue
    const recordedAs = `version ${passed[0]}`
    versions[recordedAs] = (versions[recordedAs] ?? 0) + 1
    if (typeof record.details?.command !== 'string') unreadable += 1
  }
  story.table(Object.entries(versions).map(([version, events]) => [`proxy.execute ${version}`, events]))
  story.say(`Not readable in the shape of today: ${unreadable}`)
  return { versions, unreadable }
}

async function retain({ story, dir, database, verifierKey }: Scene): Promise<Summary['retention']> {
  const archive = join(dir, 'archive')
  const [operations, config] = [join(dir, 'operations'), configurationIn(dir)]
  const places = ['--url', database, '--archive', archive, '--operations', operations, '--config', config]
  const report = JSON.parse(await otelAudit(['retain', 'run', '--days', '90', ...places, '--json'])) as RetainReport
  const { sources } = await verify([database, archive], verifierKey)
  const [inDatabase, inArchive] = sources.map(({ verdict }) => verdict)
  const left = (await readTrail(database)).length
  story.say(`${count(report.removed)} records went, ${count(left)} are left.`)
  story.say(`otel-audit verify says of the archive: ${inArchive}, and of the database: ${inDatabase}.`)
  return { removed: report.removed, left, database: String(inDatabase), archive: String(inArchive) }
}

async function forge({ story, database, verifierKey }: Scene): Promise<Pick<Summary, 'edited' | 'removed'>> {
  const edited = await editRecord(database, verifierKey)
  const removed = await removeRecord(database, verifierKey)
  const tell = (what: string, { sequence, findings }: Forgery) => {
    const found = findings.map((finding) => `${finding.verdict} at ${finding.sequence}`).join(', ')
    story.say(`Record ${sequence} ${what}: ${found || 'NOTHING FOUND'}`)
  }
  tell('says success where it said denied', edited)
  tell('is gone', removed)
  return { edited, removed }
}

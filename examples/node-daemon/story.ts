/** The life of the daemon, chapter by chapter: it works, is asked wrongly, is reloaded, crashes, goes on, and stops. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { otelAudit } from '../demo/command-line.ts'
import { verify } from '../demo/verification.ts'
import { ChildProgram } from '../stage/child-program.ts'
import type { Stage } from '../stage/example.ts'
import { type ComplianceLog, countActions, leaksIn, readLog, unlinkedFindings } from './compliance-log.ts'
import { type Provider, startProvider } from './provider.ts'

/** The story in numbers. */
export interface Summary {
  readonly actions: Readonly<Record<string, number>>
  readonly controls: Readonly<Record<string, number>>
  readonly files: ComplianceLog['files']
  readonly unlinkedFindings: number
  /** Records that are not as the catalogue says. */
  readonly invalid: number
  /** What was found that must not stand in the log. */
  readonly leaks: readonly string[]
  readonly verified: string
  /** Events logged while logging was off. */
  readonly whileOff: number
}

interface Life extends Stage {
  readonly provider: Provider
  readonly env: NodeJS.ProcessEnv
}

const program = join(import.meta.dirname, 'daemon.ts')
const token = 'the-token-of-the-scraper'

export async function tellStory(stage: Stage): Promise<Summary> {
  const { story, dir, running } = stage
  story.open('watchd: a daemon with a compliance log')
  const provider = await startProvider()
  running.defer(() => provider.stop())
  const life = { ...stage, provider, env: environmentIn(dir, stage.size) }
  preparePrograms(dir)
  writeSettings(life, { model: 'small-1', listen_port: 0 })
  writePolicy(dir, 'all')
  writeFileSync(join(dir, 'vkey'), await otelAudit(['key', 'new', '--name', 'watchd', '--out', join(dir, 'audit.key')]))
  await workUntilPanic(life)
  await workUntilStop(life)
  const summary = await review(life)
  return { ...summary, whileOff: await liveUnlogged(life) }
}

async function workUntilPanic(life: Life): Promise<void> {
  const { story, running, env, dir, size: cycles } = life
  story.chapter('It watches, and is asked for its metrics')
  const daemon = running.use(new ChildProgram({ program, env, log: join(dir, 'watchd.log') }))
  const url = `${await daemon.said('listening')}/metrics`
  await daemon.said('cycles')
  story.say(`${cycles} cycles; each asks a model about one observation, whose text never reaches the log.`)
  story.say(`Without a token: ${await ask(url)}; a wrong one: ${await ask(url, 'Bearer wrong-token-of-somebody')};`)
  story.say(`no bearer token: ${await ask(url, 'Basic dTpw')}; the right one: ${await ask(url, `Bearer ${token}`)}.`)
  story.chapter('Its settings change while it runs')
  writeSettings(life, { model: 'large-2', listen_port: 9464 })
  writePolicy(dir, 'writes_only')
  daemon.signal('SIGHUP')
  await daemon.said('reloaded')
  writeFileSync(join(dir, 'watchd.json'), '{ "model": 7 }')
  daemon.signal('SIGHUP')
  await daemon.said('reloaded')
  story.say('SIGHUP twice: once with new settings, once with wrong ones, which change nothing.')
  story.chapter('It crashes')
  const exitCode = await daemon.end('SIGUSR2')
  story.say(`Exit code ${exitCode}. The log has the digest of the stack, and was given nothing else.`)
}

async function workUntilStop(life: Life): Promise<void> {
  const { story, running, env, dir } = life
  story.chapter('It is started again, and stopped')
  writeSettings(life, { model: 'large-2', listen_port: 0 })
  const daemon = running.use(new ChildProgram({ program, env, log: join(dir, 'watchd.log') }))
  await daemon.said('cycles')
  const exitCode = await daemon.end('SIGTERM')
  story.say(`Exit code ${exitCode}: the last cycle was finished, the end sealed and signed, the file has every record.`)
}

async function review({ story, dir, provider }: Life): Promise<Omit<Summary, 'whileOff'>> {
  story.chapter('The log, as a reviewer finds it')
  const path = join(dir, 'audit.ndjson')
  const log = readLog(path)
  const { sources } = await verify([path], join(dir, 'vkey'))
  const summary = {
    actions: countActions(log.events),
    controls: countActions(log.controls),
    files: log.files,
    unlinkedFindings: unlinkedFindings(log.events),
    invalid: log.events.filter(({ validation }) => validation !== undefined).length,
    leaks: [...leaksIn(log.text), ...(log.text.includes(dir) ? ['the folder of the daemon'] : [])],
    verified: sources[0]?.verdict ?? 'NO_RECORDS',
  }
  story.table(log.files.map(({ name, mode, records }) => [name, mode, records, 'records']))
  story.table(Object.entries(summary.actions))
  story.say(`otel-audit verify audit.ndjson, all files in their order: ${summary.verified}`)
  story.say(`Findings without their ai.call: ${summary.unlinkedFindings}. The provider saw ${provider.prompts.length}`)
  story.say(`prompts, redacted like: ${provider.prompts[0]}`)
  story.say(`Addresses, process ids, paths, texts, stacks in the log: ${summary.leaks.join(', ') || 'none'}`)
  return summary
}

/** The same daemon with logging off: it does the same, and logs nothing. */
async function liveUnlogged(life: Life): Promise<number> {
  const { story, running, dir, env } = life
  story.chapter('The same daemon with AUDIT_LOG_ENABLED=false')
  const path = join(dir, 'off.ndjson')
  const off = { AUDIT_LOG_ENABLED: 'false', AUDIT_CONFIG_FILE: undefined, AUDIT_PROFILE: undefined }
  const places = { AUDIT_SPOOL_DIRECTORY: join(dir, 'off-spool'), AUDIT_LOG_FILE_PATH: path }
  const daemon = running.use(
    new ChildProgram({ program, env: { ...env, ...off, ...places, WATCHD_CYCLES: '8' }, log: join(dir, 'off.log') }),
  )
  await daemon.said('cycles')
  const exitCode = await daemon.end('SIGTERM')
  const { events } = readLog(path)
  story.say(`Exit code ${exitCode}, ${events.length} events logged.`)
  return events.length
}

function environmentIn(dir: string, cycles: number): NodeJS.ProcessEnv {
  return {
    WATCHD_SETTINGS: join(dir, 'watchd.json'),
    WATCHD_METRICS_TOKEN: token,
    WATCHD_CYCLES: String(cycles),
    AUDIT_LOG_DESTINATION: 'file',
    AUDIT_LOG_FILE_PATH: join(dir, 'audit.ndjson'),
    AUDIT_LOG_FILE_MAX_MB: '1',
    AUDIT_PROFILE: 'soc2',
    AUDIT_SPOOL_DIRECTORY: join(dir, 'spool'),
    AUDIT_KEYS_SIGNING_KEY_FILE: join(dir, 'audit.key'),
    AUDIT_CONFIG_FILE: join(dir, 'audit.json'),
  }
}

function writeSettings({ dir, provider }: Life, changing: { model: string; listen_port: number }): void {
  const fixed = { min_severity: 'WARNING', cycle_ms: 0, provider_url: provider.url, programs: join(dir, 'programs') }
  writeFileSync(join(dir, 'watchd.json'), JSON.stringify({ ...fixed, ...changing }, undefined, 2))
}

/** The configuration of the log that may change while the daemon runs. */
function writePolicy(dir: string, level: 'all' | 'writes_only'): void {
  writeFileSync(join(dir, 'audit.json'), JSON.stringify({ policy: { level } }))
}

/** One eBPF program that is one, and one that is not. */
function preparePrograms(dir: string): void {
  mkdirSync(join(dir, 'programs'))
  writeFileSync(join(dir, 'programs/connect.o'), '\u007fELF')
  writeFileSync(join(dir, 'programs/exec.o'), 'not yet compiled')
}

/** The status of a request for the metrics. */
async function ask(url: string, authorization?: string): Promise<number> {
  const response = await fetch(url, { headers: authorization === undefined ? {} : { authorization } })
  await response.arrayBuffer()
  return response.status
}

/** What is wrong, in one sentence each; nothing, if all is well. */
export function faultsOf(summary: Summary): string[] {
  const { files, leaks, invalid, whileOff, verified } = summary
  return [
    ...(verified === 'INTACT' ? [] : [`the log is ${verified}, not INTACT`]),
    ...leaks.map((leak) => `the log holds ${leak}`),
    ...files.filter(({ mode }) => mode !== '600').map(({ name, mode }) => `${name} has the mode ${mode}`),
    ...(summary.unlinkedFindings === 0 ? [] : [`${summary.unlinkedFindings} findings have no ai.call`]),
    ...(invalid === 0 ? [] : [`${invalid} records are not as the catalogue says`]),
    ...(whileOff === 0 ? [] : [`${whileOff} events were logged while logging was off`]),
  ]
}

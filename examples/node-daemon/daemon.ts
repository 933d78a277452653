/**
 * The daemon: opens its log, loads its probes, watches in cycles, and says in the log whatever it does. This is the part
 * to copy. Its log is configured by environment alone (docs/audit-trails.md); where that switches it off, every line
 * here works as before. Tells whoever started it `listening URL`, `cycles N`, `reloaded` on standard output.
 */

import { createHash, randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { createAuditFromEnv } from 'otel-audit'
import { actions } from './actions.ts'
import { Analysis } from './analysis.ts'
import { observe } from './observations.ts'
import { loadPrograms } from './probes.ts'
import { applySettings, digestOf, readSettings, severities } from './settings.ts'

const { WATCHD_SETTINGS = 'watchd.json', WATCHD_METRICS_TOKEN = randomUUID(), WATCHD_CYCLES = 'Infinity' } = process.env

let settings = readSettings(WATCHD_SETTINGS)
const audit = createAuditFromEnv({
  service: 'watchd',
  actions,
  redact: { preset: 'daemon' },
})

process.on('uncaughtException', (error) => {
  const stack_digest = createHash('sha256')
    .update(error.stack ?? String(error))
    .digest('hex')
  // On disk when emit returns. What is wrong in here nobody knows: no waiting for anybody, the next start delivers it.
  audit.emit({ action: 'daemon.panic', outcome: 'failure', error: { code: error.name }, details: { stack_digest } })
  process.exit(70)
})

process.on('SIGHUP', async () => {
  try {
    const change = applySettings(settings, readSettings(WATCHD_SETTINGS))
    const log = await audit.reload()
    settings = change.settings
    audit.emit({
      action: 'config.reload',
      outcome: log.status === 'rejected' ? 'failure' : 'success',
      details: {
        path: WATCHD_SETTINGS,
        source: 'SIGHUP',
        changed_fields: [...change.changedFields, ...log.changedFields],
        applied: [...change.applied, ...log.applied],
        restart_required: [...change.restartRequired, ...log.restartRequired],
      },
    })
  } catch {
    const nothing = { changed_fields: [], applied: [], restart_required: [] }
    const details = { path: WATCHD_SETTINGS, source: 'SIGHUP', ...nothing } as const
    audit.emit({ action: 'config.reload', outcome: 'failure', error: 'validation', details })
  }
  console.log('reloaded')
})

process.on('SIGUSR2', () => {
  throw new TypeError('cannot read the map /sys/fs/bpf/watchd/flows') // stands for a bug
})

const stopping = new AbortController()
process.once('SIGTERM', () => stopping.abort())

audit.emit({
  action: 'daemon.start',
  outcome: 'success',
  details: { version: '1.0.0', settings_digest: digestOf(settings) },
})
loadPrograms(audit, settings.programs)
// For whoever has the bearer token; everybody else is an `auth.failure` in the log.
const { url } = await audit.serve({ listen: `127.0.0.1:${settings.listen_port}`, token: WATCHD_METRICS_TOKEN })
console.log(`listening ${url}`)

const cycles = await watch(Number(WATCHD_CYCLES))
console.log(`cycles ${cycles}`)
if (!stopping.signal.aborted) await delay(2 ** 31 - 1, undefined, { signal: stopping.signal }).catch(() => {})

audit.emit({ action: 'daemon.stop', outcome: 'success', details: { signal: 'SIGTERM', cycles } })
// Seals the end of the stream, signs it, and waits until the file has the last record.
await audit.close()
process.exit(0)

/** Cycle after cycle, each one to its end, until there are so many or the daemon is asked to stop. */
async function watch(cyclesMax: number): Promise<number> {
  const analysis = new Analysis(audit, () => settings)
  let cycle = 0
  for (; cycle < cyclesMax && !stopping.signal.aborted; cycle += 1) {
    await investigate(analysis, cycle) // in order: a cycle may change what the next one asks
    await delay(settings.cycle_ms, undefined, { signal: stopping.signal }).catch(() => {})
  }
  return cycle
}

async function investigate(analysis: Analysis, cycle: number): Promise<void> {
  const cycleId = randomUUID()
  const { rule, text } = observe(cycle)
  const answer = await analysis.ask(cycleId, text)
  if (answer === undefined || answer.severity === 'INFO') return
  if (severities.indexOf(answer.severity) < severities.indexOf(settings.min_severity)) return
  const payload_digest = createHash('sha256').update(text).digest('hex')
  audit.emit({
    action: 'finding.emit',
    actor: { type: 'poll_cycle', id: cycleId },
    outcome: 'success',
    correlation_id: cycleId,
    details: { cycle_id: cycleId, rule, severity: answer.severity, sink: 'stderr', payload_digest },
  })
}

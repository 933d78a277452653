/**
 * Row 18, the other configurations that promise to lose nothing, each in the real collector under load: killed in the
 * middle of a request, and a backend that is away for a while. And the one loss that no collector reports.
 */

import assert from 'node:assert/strict'
import { globSync, writeFileSync } from 'node:fs'
import type { AuditOptions } from '../../src/index.ts'
import { runCli } from '../cli/run.ts'
import { freePort } from '../parts/process.ts'
import { answer } from '../support/otlp-backend.ts'
import { CollectorHost } from './collector-host.ts'
import { beside, checkTrail, finish, inOrder, lackingIn, otlpTo, settleAt } from './collector-load.ts'
import type { FaultTest } from './fault.ts'
import type { Lab } from './lab.ts'
import { type SickBackend, startSickBackend } from './sick-backend.ts'
import { Subject } from './subject.ts'
import * as trail from './trail.ts'

type Destinations = NonNullable<AuditOptions['destinations']>

/** A configuration, how it is started, and what sends to it. */
interface Variant {
  readonly name: string
  readonly promise: string
  readonly config: string
  readonly args?: readonly string[]
  readonly hasSecondBackend?: boolean
  /** One backend that is away does not hold up the other. */
  readonly isIndependent?: boolean
  env?(lab: Lab): Promise<Record<string, string>> | Record<string, string>
  destinations(lab: Lab, collector: CollectorHost): Destinations
}

const variants: readonly Variant[] = [
  {
    name: 'collector-sidecar',
    promise:
      'The plain sidecar, killed in the middle of a request, its backend away for a while: every record arrives.',
    config: 'sidecar.yaml',
    destinations: (_, collector) => [otlpTo(collector.address)],
  },
  {
    name: 'collector-fanout',
    promise: 'One pass-through gateway with two backends, one of them away for a while: both have every record.',
    config: 'gateway-fanout.yaml',
    hasSecondBackend: true,
    destinations: (_, collector) => [otlpTo(collector.address)],
  },
  {
    name: 'collector-lanes',
    promise:
      'Two lanes in one gateway: both backends have every record, and one that is away does not hold up the other.',
    config: 'gateway-fanout-lanes.yaml',
    hasSecondBackend: true,
    isIndependent: true,
    env: async () => ({ AUDIT_COLLECTOR_LISTEN_SECOND: `127.0.0.1:${await freePort()}` }),
    destinations: (_, collector) => [
      otlpTo(collector.address, 'first'),
      otlpTo(collector.variable('AUDIT_COLLECTOR_LISTEN_SECOND'), 'second'),
    ],
  },
  {
    name: 'collector-buffered',
    promise: 'A sidecar with a queue on disk, killed also while its backend is away: what it has acknowledged arrives.',
    config: 'sidecar-buffered.yaml',
    env: (lab) => ({ AUDIT_COLLECTOR_STORAGE: lab.path('queue') }),
    destinations: (_, collector) => [otlpTo(collector.address)],
  },
  {
    name: 'collector-agent',
    promise:
      'An agent that tails the file destination, killed, its backend away for a while, files closed meanwhile: every line arrives.',
    config: 'agent-filelog.yaml',
    args: ['--feature-gates=stanza.synchronousLogEmitter'],
    env: (lab) => ({ AUDIT_COLLECTOR_FILE: beside(lab).path, AUDIT_COLLECTOR_STORAGE: lab.path('offsets') }),
    destinations: (lab) => [{ ...beside(lab), maxMb: 0.2, compress: false }],
  },
]

/** A held request, a kill, a new start; in turn while the backend answers and while it is away. */
async function killUnderLoad(collector: CollectorHost, backend: SickBackend, round: number): Promise<void> {
  const isAway = round % 2 === 1
  if (isAway) {
    backend.fail(answer(503))
    await backend.untilFailed(3)
  } else await backend.hold(round % 4 === 0)
  await collector.kill()
  await collector.start()
  backend.fail(undefined)
  await backend.untilKept(60)
}

async function runVariant(lab: Lab, variant: Variant, kills: number) {
  const backends = [await startSickBackend(lab), ...(variant.hasSecondBackend ? [await startSickBackend(lab)] : [])]
  const [first, second] = backends
  assert.ok(first !== undefined)
  const collector = await CollectorHost.start(lab, {
    config: variant.config,
    ...(variant.args === undefined ? {} : { args: variant.args }),
    env: {
      AUDIT_COLLECTOR_BACKEND: first.url,
      ...(second === undefined ? {} : { AUDIT_COLLECTOR_BACKEND_SECOND: second.url }),
      ...(await variant.env?.(lab)),
    },
  })
  const audit = { spool: { directory: lab.path('spool') }, destinations: variant.destinations(lab, collector) }
  const subject = new Subject(lab, { run: 'load', burst: 5, paceMs: 10, audit })
  await first.untilKept(50)
  // One after the other, under load.
  for (let round = 0; round < kills; round += 1) await killUnderLoad(collector, first, round)
  if (variant.isIndependent) {
    first.fail(answer(503))
    await first.untilFailed(1)
    await second?.untilKept(200)
    first.fail(undefined)
  }
  const records = await finish(lab, subject, audit)
  await Promise.all(backends.map((backend) => settleAt(backend, records)))
  const repeated = backends.map((backend) => checkTrail(backend.kept, records))
  const failed = backends.reduce((sum, backend) => sum + backend.failed(), 0)
  const closed = globSync(`${beside(lab).path}.*`).length
  return {
    injected: { kills: collector.kills, 'failed requests': failed, ...(closed > 0 ? { 'closed files': closed } : {}) },
    survived: {
      'records delivered': records.length * backends.length,
      'records delivered twice': repeated.reduce((sum, count) => sum + count, 0),
    },
  }
}

function testOf(variant: Variant): FaultTest {
  const { name, promise } = variant
  return {
    name,
    row: '18',
    promise,
    needs: ['linux', 'collector'],
    limitSeconds: { short: 120, long: 400 },
    run: (lab, size) => runVariant(lab, variant, size === 'short' ? 2 : 20),
  }
}

const collectorPartial: FaultTest = {
  name: 'collector-partial',
  row: '18',
  promise:
    'A backend that takes a part of each request, which no collector reports: verification of its copy finds every missing record.',
  needs: ['linux', 'collector'],
  limitSeconds: { short: 120, long: 120 },
  async run(lab) {
    const backend = await startSickBackend(lab)
    const collector = await CollectorHost.start(lab, {
      config: 'sidecar.yaml',
      env: { AUDIT_COLLECTOR_BACKEND: backend.url },
    })
    const spool = { directory: lab.path('spool') }
    const audit = { spool, destinations: [otlpTo(collector.address)], closeTimeoutMs: 60_000 }
    backend.rejectLast(1)
    const subject = new Subject(lab, { run: 'load', count: 1_000, burst: 20, paceMs: 20, audit })
    await backend.untilKept(300)
    backend.rejectLast(0)
    assert.equal((await subject.ended).code, 0, subject.complaints)
    const records = trail.readSpool(spool.directory)
    const lacking = lackingIn(backend.kept, records)
    const again = new Set(backend.kept.map(({ id }) => id))
    const rejected = backend.rejected.filter(({ id }) => !again.has(id))
    assert.ok(rejected.length > 0)
    assert.deepEqual(new Set(lacking.map(({ id }) => id)), new Set(rejected.map(({ id }) => id)), 'those and no others')
    const copy = lab.path('backend.ndjson')
    writeFileSync(
      copy,
      inOrder(backend.kept, records)
        .map(({ bytes }) => `${bytes}\n`)
        .join(''),
    )
    const { exitCode, stdout } = await runCli(['verify', copy, '--allow-unanchored', '--json'])
    assert.equal(exitCode, 1, 'verification of the copy finds it')
    const { findingCounts } = (JSON.parse(stdout) as { sources: [{ findingCounts: Record<string, number> }] })
      .sources[0]
    assert.ok((findingCounts.MISSING ?? 0) > 0, stdout)
    return {
      injected: { 'records rejected by partial success': lacking.length },
      survived: { 'records delivered': records.length - lacking.length },
      detail: 'The rejected ones are missing at the backend, and still in the spool; verify says MISSING for each gap.',
    }
  },
}

export const collectorVariants: readonly FaultTest[] = [...variants.map(testOf), collectorPartial]

/**
 * Row 18: the real collector. A program under load sends through a sidecar and a gateway (TLS and a bearer token between
 * them) to a backend; each is killed, refused, cut off and lied to in turn, while a second destination, a file, must not
 * notice. Afterwards the backend has every record, repetitions have the same ids, and the order can be put back.
 */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { makeCertificate } from '../support/certificate.ts'
import { answer } from '../support/otlp-backend.ts'
import { type Relay, startRelay } from '../support/relay.ts'
import { collectorClickhouseTests } from './collector-clickhouse.ts'
import { CollectorHost } from './collector-host.ts'
import { collectorKafkaTests } from './collector-kafka.ts'
import { beside, checkBeside, checkTrail, finish, otlpTo } from './collector-load.ts'
import { collectorVariants } from './collector-variants.ts'
import type { FaultTest } from './fault.ts'
import type { Lab } from './lab.ts'
import { type SickBackend, startSickBackend } from './sick-backend.ts'
import { Subject } from './subject.ts'
import * as trail from './trail.ts'

/** What stands between the program and its backend. */
interface Way {
  readonly backend: SickBackend
  readonly sidecar: CollectorHost
  readonly gateway: CollectorHost
  /** Between program and sidecar. */
  readonly front: Relay
  /** Between sidecar and gateway. */
  readonly relay: Relay
  readonly token: SecretFile
  readonly identity: Identity
}

interface SecretFile {
  readonly path: string
  readonly right: string
  write(text: string): void
}

/** The gateway's certificate and key; a sidecar trusts exactly this one. */
interface Identity {
  use(which: 'good' | 'expired'): void
}

const dayMs = 86_400_000

function makeIdentity(lab: Lab): Identity & { env: Record<string, string>; trusted: string } {
  const [certificate, key, trusted] = [lab.path('gateway.pem'), lab.path('gateway.key'), lab.path('trusted.pem')]
  const now = Date.now()
  const good = makeCertificate(new Date(now - dayMs), new Date(now + dayMs))
  const expired = makeCertificate(new Date(now - 2 * dayMs), new Date(now - dayMs))
  writeFileSync(trusted, good.certificate + expired.certificate)
  const use = (which: 'good' | 'expired') => {
    const one = which === 'good' ? good : expired
    writeFileSync(key, one.key)
    writeFileSync(certificate, one.certificate)
  }
  use('good')
  return { use, trusted, env: { AUDIT_COLLECTOR_CERT_FILE: certificate, AUDIT_COLLECTOR_KEY_FILE: key } }
}

function makeSecret(path: string, right: string): SecretFile {
  const write = (text: string) => writeFileSync(path, text)
  write(right)
  return { path, right, write }
}

async function openWay(lab: Lab): Promise<Way> {
  const backend = await startSickBackend(lab)
  const identity = makeIdentity(lab)
  const accepted = makeSecret(lab.path('accepted-token'), 'right-token')
  const token = makeSecret(lab.path('token'), accepted.right)
  const gateway = await CollectorHost.start(lab, {
    config: 'gateway-tls-bearer.yaml',
    env: { ...identity.env, AUDIT_COLLECTOR_BACKEND: backend.url, AUDIT_COLLECTOR_TOKEN_FILE: accepted.path },
  })
  const relayTo = async ({ port }: CollectorHost) => {
    const relay = await startRelay(port)
    lab.onDispose(() => relay.close())
    return relay
  }
  const relay = await relayTo(gateway)
  const sidecar = await CollectorHost.start(lab, {
    config: 'sidecar-tls-bearer.yaml',
    env: {
      AUDIT_COLLECTOR_BACKEND: `https://${relay.address}`,
      AUDIT_COLLECTOR_CA_FILE: identity.trusted,
      AUDIT_COLLECTOR_TOKEN_FILE: token.path,
    },
  })
  return { backend, sidecar, gateway, front: await relayTo(sidecar), relay, token, identity }
}

/** Kills in the middle of a request: kept by the backend or not, or at any moment of the load. */
async function killOnce(way: Way, subject: Subject, round: number): Promise<void> {
  const { backend } = way
  const victim = round % 2 === 0 ? way.sidecar : way.gateway
  const moment = round % 3
  if (moment === 2) {
    const written = subject.written.length
    await subject.until(() => subject.written.length > written + 37)
  } else await backend.hold(moment === 0)
  await victim.kill()
  await victim.start()
  await backend.untilKept(60)
}

interface Outage {
  readonly name: string
  /** Begins it, and resolves when the sender has met it. */
  begin(way: Way): Promise<void>
  end(way: Way): Promise<void> | void
}

const answering = (status: number, headers: Record<string, string> = {}): Outage => ({
  name: `outages with ${status}`,
  async begin({ backend }) {
    backend.fail(answer(status, headers, 'no'))
    await backend.untilFailed(3)
  },
  end: ({ backend }) => backend.fail(undefined),
})

const blackHole = (where: string, relayOf: (way: Way) => Relay): Outage => ({
  name: `black holes ${where}`,
  async begin(way) {
    relayOf(way).turn('black')
    await relayOf(way).untilPieces(3)
  },
  end: (way) => relayOf(way).turn('through'),
})

const outages: readonly Outage[] = [
  answering(500),
  answering(429, { 'retry-after': '1' }),
  answering(413),
  answering(503),
  {
    name: 'wrong tokens',
    async begin({ token, relay }) {
      token.write('wrong-token')
      await relay.untilPieces(6)
    },
    end: ({ token }) => token.write(token.right),
  },
  {
    name: 'expired certificates',
    async begin({ identity, gateway, relay }) {
      identity.use('expired')
      await gateway.kill()
      await gateway.start()
      await relay.untilPieces(3) // a greeting each
    },
    // Read again by the gateway without a restart.
    end: ({ identity }) => identity.use('good'),
  },
  blackHole('in front of the sidecar', ({ front }) => front),
  blackHole('behind the sidecar', ({ relay }) => relay),
]

const collectorDies: FaultTest = {
  name: 'collector-dies',
  row: '18',
  promise:
    'Sidecar and gateway killed in the middle of a request, a backend that answers 500, 429, 413 or 503, a wrong token, an expired certificate, a black hole: nothing is lost, and another destination does not notice.',
  needs: ['linux', 'collector'],
  limitSeconds: { short: 240, long: 900 },
  async run(lab, size) {
    const kills = size === 'short' ? 3 : 20
    const way = await openWay(lab)
    const audit = {
      spool: { directory: lab.path('spool') },
      destinations: [otlpTo(way.front.address), beside(lab)],
    }
    const subject = new Subject(lab, { run: 'load', burst: 5, paceMs: 10, audit })
    await way.backend.untilKept(50)
    // One after the other: each is a fault of its own, met under load.
    for (let round = 0; round < kills; round += 1) await killOnce(way, subject, round)
    const killed = way.sidecar.kills + way.gateway.kills
    for (const outage of outages) {
      await outage.begin(way)
      await checkBeside(lab, subject)
      await outage.end(way)
      await way.backend.untilKept(60)
    }
    const records = await finish(lab, subject, audit)
    const repeated = checkTrail(way.backend.kept, records)
    assert.equal(checkTrail(trail.readLines(beside(lab).path), records), 0, 'the file holds each record once')
    return {
      injected: { kills: killed, ...Object.fromEntries(outages.map(({ name }) => [name, 1])) },
      survived: { 'records delivered': records.length, 'records delivered twice': repeated },
    }
  },
}

export const collectorTests: readonly FaultTest[] = [
  collectorDies,
  ...collectorVariants,
  ...collectorKafkaTests,
  ...collectorClickhouseTests,
]

/**
 * The broker: issues sessions and grants, and carries out commands through them. This is the part to copy: each change
 * and its audit event are one transaction, so that neither is there without the other; what is refused is undone, and
 * the refusal is an event of its own. The broker delivers nothing: `otel-audit forward --postgres` does, beside it.
 * Says `listening URL` on standard output.
 */

import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { type AuditEvent, type Catalogue, createAudit } from 'otel-audit'
import { Pool, type PoolClient } from 'pg'
import { actions, actionsOfRelease1 } from './actions.ts'
import {
  holdGrant,
  insertExecution,
  insertGrant,
  insertSession,
  inTransaction,
  Refusal,
  readGrant,
  readSession,
  refuse,
  revokeGrant,
} from './state.ts'

const { BROKER_DATABASE = '', BROKER_DIRECTORY = '', BROKER_KEY = '', BROKER_RELEASE } = process.env
const isRelease1 = BROKER_RELEASE === '1'
const catalogue: Catalogue = isRelease1 ? actionsOfRelease1 : actions

const pool = new Pool({ connectionString: BROKER_DATABASE })
const audit = createAudit({
  service: 'security-broker',
  deployment: 'broker',
  policy: { level: 'all' },
  spool: { directory: BROKER_DIRECTORY },
  keys: { signingKeyFile: BROKER_KEY },
  actions: catalogue,
})

/** What a request asks for, and the members of its events that are known from the beginning. */
interface Asked {
  readonly body: Readonly<Record<string, string>>
  readonly event: Pick<AuditEvent, 'request' | 'correlation_id'>
  /** Fills in what comes to be known: they stand in the event of a refusal, too. */
  known: Pick<AuditEvent, 'tenant' | 'session' | 'grant' | 'actor' | 'target' | 'details'>
}

interface Work {
  readonly action: string
  run(asked: Asked): Promise<string>
}

const forbidden = /^vault\//

const works: Readonly<Record<string, Work>> = {
  '/sessions': {
    action: 'session.create',
    run(asked) {
      const { tenant = '', user = '' } = asked.body
      const session = { id: randomUUID(), tenant, user }
      asked.known = { ...knownOf(session), target: { resource_type: 'session', id: session.id } }
      return inTransaction(pool, async (client) => {
        await insertSession(client, session)
        await record(client, 'session.create', asked)
        return session.id
      })
    },
  },
  '/grants': {
    action: 'grant.issue',
    async run(asked) {
      const { session: sessionId = '', resource = '' } = asked.body
      const session = await readSession(pool, sessionId)
      const grant = { id: randomUUID(), resource, session }
      asked.known = { ...knownOf(session), target: { resource_type: 'resource', id: resource } }
      if (forbidden.test(resource)) refuse('not_permitted')
      asked.known = { ...asked.known, grant: grant.id }
      return inTransaction(pool, async (client) => {
        await insertGrant(client, grant)
        await record(client, 'grant.issue', asked)
        return grant.id
      })
    },
  },
  '/revocations': {
    action: 'grant.revoke',
    async run(asked) {
      const { id, session, resource } = await readGrant(pool, asked.body.grant ?? '')
      asked.known = { ...knownOf(session), grant: id, target: { resource_type: 'resource', id: resource } }
      return inTransaction(pool, async (client) => {
        await revokeGrant(client, id)
        await record(client, 'grant.revoke', asked)
        return id
      })
    },
  },
  '/executions': {
    action: 'proxy.execute',
    async run(asked) {
      const { line = '', nonce = '' } = asked.body
      const grant = await readGrant(pool, asked.body.grant ?? '')
      const id = randomUUID()
      const target = { resource_type: 'resource', id: grant.resource, execution: id }
      asked.known = { ...knownOf(grant.session), grant: grant.id, target, details: detailsOf(line) }
      return inTransaction(pool, async (client) => {
        await holdGrant(client, grant.id)
        await insertExecution(client, { id, grant, line, nonce })
        await record(client, 'proxy.execute', asked)
        return id
      })
    },
  },
}

function knownOf({ id, tenant, user }: { id: string; tenant: string; user: string }): Asked['known'] {
  return { tenant, session: id, actor: { type: 'user', id: user } }
}

function detailsOf(line: string): AuditEvent['details'] {
  if (isRelease1) return { line }
  const [command = '', ...rest] = line.split(' ')
  return { command, arguments: rest }
}

/** In the transaction of the change. */
async function record(client: PoolClient, action: string, { event, known }: Asked): Promise<void> {
  await audit.tx(client).emit({ ...event, ...known, action, outcome: 'success' })
}

/** There is nothing left of what was refused: the event has a transaction of its own. */
async function recordRefusal(action: string, { event, known }: Asked, reason: string): Promise<void> {
  await audit.tx(pool).emit({ ...event, ...known, action, outcome: 'denied', reason })
}

const server = createServer(async (request, response) => {
  const work = works[request.url ?? '']
  if (work === undefined) return void response.writeHead(404).end()
  try {
    const { status, text: said } = await answer(work, await read(request))
    response.writeHead(status).end(said)
  } catch (error) {
    console.error(error)
    response.writeHead(503).end() // nothing was committed, and nothing was recorded
  }
})

async function answer(work: Work, asked: Asked): Promise<{ status: number; text: string }> {
  try {
    return { status: 201, text: await work.run(asked) }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    await recordRefusal(work.action, asked, error.message)
    return { status: 403, text: error.message }
  }
}

async function read(request: IncomingMessage): Promise<Asked> {
  const id = String(request.headers['x-request-id'] ?? randomUUID())
  // Nobody but the load balancer can connect: what it says of the caller's address is believed.
  const sourceIp = String(request.headers['x-forwarded-for'] ?? request.socket.remoteAddress)
  const body = JSON.parse(await text(request))
  const metadata = { id, source_ip: sourceIp, method: 'POST', ...(request.url && { route: request.url }) }
  return { body, event: { correlation_id: id, request: metadata }, known: {} }
}

server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('it has no port')
  console.log(`listening http://127.0.0.1:${address.port}`)
})

process.once('SIGTERM', async () => {
  server.close()
  server.closeIdleConnections()
  await audit.close()
  await pool.end()
  process.exit(0)
})

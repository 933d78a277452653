/** Clients whose calls are recorded, over a real HTTP server that fails as it is told. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'
import { auditCalls } from '../../src/instrument/calls.ts'
import { CallCoverage } from '../../src/instrument/coverage.ts'
import { auditFetch, templateOf } from '../../src/instrument/fetch.ts'
import { freePort } from '../parts/process.ts'
import { listedEvents } from './listed-events.ts'

/** What the server answers next; 200 when nothing is left. */
const statuses: number[] = []
const server = createServer((_, response) => {
  response.writeHead(statuses.shift() ?? 200, { 'content-type': 'application/json' }).end('{"id":7}')
})
let origin = ''
before(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  if (typeof address === 'object') origin = `http://127.0.0.1:${address?.port}`
})
after(() => server.close())

/** A client as applications have them: tries again, and throws what is no success. */
class Gitlab {
  readonly #fetch: typeof fetch

  constructor(send: typeof fetch) {
    this.#fetch = send
  }

  async getMergeRequest(project: number, iid: number): Promise<{ id: number }> {
    for (let attempt = 1; ; attempt += 1) {
      const response = await this.#fetch(
        `${origin}/api/v4/projects/${project}/merge_requests/${iid}?private_token=s3cr3t`,
      )
      if (response.ok) return (await response.json()) as { id: number }
      if (attempt === 3) throw new Error(`answered ${response.status}`)
    }
  }

  name(): string {
    return 'gitlab'
  }

  ping(): Promise<Response> {
    return this.#fetch(`${origin}/ping`)
  }
}

function gitlabOf(audit = listedEvents()) {
  const coverage = new CallCoverage()
  const client = auditCalls(audit, new Gitlab(auditFetch(audit)), {
    coverage,
    calls: {
      getMergeRequest: {
        action: 'gitlab.api.get_mr_details',
        target: (project, iid) => ({ resource_type: 'merge_request', id: `${project}!${iid}` }),
        details: ({ args: [project_id], result }) => ({ project_id, found: result?.id }),
      },
      name: { action: 'gitlab.api.name' },
    },
  })
  return { audit, client, coverage }
}

test('a call that was tried three times is one record with attempts, status and the template of its URL', async () => {
  const { audit, client, coverage } = gitlabOf()
  statuses.push(500, 429)
  assert.deepEqual(await client.getMergeRequest(12, 34), { id: 7 })
  assert.equal(audit.events.length, 1)
  const [{ duration_ms, ...event } = {}] = audit.events
  assert.ok(typeof duration_ms === 'number')
  assert.deepEqual(event, {
    action: 'gitlab.api.get_mr_details',
    operation: 'execute',
    target: { resource_type: 'merge_request', id: '12!34' },
    outcome: 'success',
    attempts: 3,
    details: {
      project_id: 12,
      found: 7,
      method: 'GET',
      url: `${origin}/api/v4/projects/:id/merge_requests/:id`,
      status: 200,
    },
  })
  coverage.assertComplete()
})

test('a call that failed has the class of the last answer, and throws what it threw', async () => {
  const { audit, client } = gitlabOf()
  statuses.push(503, 503, 404)
  await assert.rejects(client.getMergeRequest(1, 2), /answered 404/)
  const [event] = audit.events
  assert.deepEqual(
    [event?.outcome, event?.error, event?.attempts],
    ['failure', { class: 'not_found', message: 'answered 404' }, 3],
  )
  assert.ok(!JSON.stringify(audit.events).includes('s3cr3t'))
})

test('methods that answer at once are recorded at once; private members work as before', () => {
  const { audit, client } = gitlabOf()
  assert.equal(client.name(), 'gitlab')
  assert.deepEqual([audit.events[0]?.action, audit.events[0]?.attempts], ['gitlab.api.name', 1])
})

test('coverage names the calls that left no record, and that there was none at all', async () => {
  const { client, coverage } = gitlabOf()
  assert.throws(() => coverage.assertComplete(), /no instrumented call/)
  await client.ping()
  await client.ping()
  assert.throws(() => coverage.assertComplete(), /ping: 2 × not described/)
  const suppressing = gitlabOf(listedEvents(() => ({ status: 'suppressed', rule: 'level' })))
  suppressing.client.name()
  assert.throws(() => suppressing.coverage.assertComplete(), /name: 1 × suppressed by level/)
})

test('a description that throws costs the record its words, and the call nothing', () => {
  const audit = listedEvents()
  const failing = () => {
    throw new Error('no words')
  }
  const client = auditCalls(audit, { work: () => 1 }, { calls: { work: { action: 'w', target: failing } } })
  assert.equal(client.work(), 1)
  assert.deepEqual(audit.events[0]?.details, { undescribed: true })
})

test('a request outside of any client is a call of its own', async () => {
  const audit = listedEvents()
  statuses.push(403)
  const response = await auditFetch(audit)(`${origin}/users/0d9f2a44c1?token=s3cr3t`, { method: 'post' })
  assert.equal(response.status, 403)
  await assert.rejects(auditFetch(audit)(`http://127.0.0.1:${await freePort()}/`), TypeError)
  const [first, second] = audit.events
  assert.deepEqual(
    [first?.action, first?.outcome, first?.error, first?.target],
    ['http.request', 'failure', { class: 'auth_failure' }, { resource_type: 'http', id: origin }],
  )
  assert.deepEqual(first?.details, { method: 'POST', url: `${origin}/users/:id`, status: 403 })
  assert.equal((second?.error as { class?: string })?.class, 'network_error')
})

test('what could name somebody in a path is left out of its template', () => {
  const templates: readonly (readonly [url: string, template: string])[] = [
    ['https://a.example/users/42/posts?x=1#y', 'https://a.example/users/:id/posts'],
    ['https://u:p@a.example/x', 'https://a.example/x'],
    ['https://a.example/o/019b7ca9-8dff-7000-8000-000000000001', 'https://a.example/o/:id'],
    ['https://a.example/projects/group%2Fname/hooks', 'https://a.example/projects/:id/hooks'],
    ['https://a.example/t/sk4live9abcdefghijkl', 'https://a.example/t/:id'],
    ['https://a.example/api/v4/merge_requests', 'https://a.example/api/v4/merge_requests'],
  ]
  for (const [url, template] of templates) assert.equal(templateOf(new URL(url)), template)
})

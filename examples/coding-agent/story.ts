/** The agent at work: comments that are carried out, one that is rejected, one whose patch is exchanged, and forgers. */

import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CallCoverage, createAudit } from 'otel-audit'
import { otelAudit } from '../demo/command-line.ts'
import { verify } from '../demo/verification.ts'
import type { Stage } from '../stage/example.ts'
import { Agent, type Comment } from './agent.ts'
import { issueText, remoteToken, startRemote } from './remote.ts'
import type { Summary } from './summary.ts'

const webhookSecret = 'the-secret-that-gitlab-sends'

interface Line {
  readonly action: string
  readonly outcome?: string
  readonly attempts?: number
  readonly correlation_id?: string
}

/** Every step of a comment that is carried out. */
const steps = [
  'webhook.authenticate',
  'command.received',
  'gitlab.api.get_mr_details',
  'jira.api.get_issue',
  'coding.started',
  'copilot.sdk.coding_request',
  'copilot.sdk.response_received',
  'patch.generated',
  'patch.validated',
  'approval.decision',
  'gitlab.api.push_branch',
  'branch.pushed',
  'gitlab.api.post_mr_note',
  'comment.posted',
] as const

export async function tellStory({ dir, size, story, running }: Stage): Promise<Summary> {
  story.open('A coding agent: who asked for what, what it called, and what was approved')
  const remote = await startRemote()
  running.defer(() => remote.stop())
  const audit = createAudit({
    service: 'coding-agent',
    policy: { level: 'all' },
    spool: { directory: join(dir, 'agent-spool') },
    keys: { signingKeyFile: join(dir, 'agent.key') },
    destinations: [{ type: 'file', path: join(dir, 'agent.ndjson') }],
  })
  running.defer(() => audit.close())
  const coverage = new CallCoverage()
  const jobKey = await otelAudit(['key', 'new', '--name', 'coding-job', '--out', join(dir, 'job.key')])
  const agent = new Agent({
    audit,
    origin: remote.origin,
    webhookSecret,
    coverage,
    jobEnvironment: (job) => ({
      AUDIT_SERVICE: 'coding-job',
      AUDIT_SPOOL_DIRECTORY: join(dir, `job-${job}-spool`),
      AUDIT_KEYS_SIGNING_KEY_FILE: join(dir, 'job.key'),
      AUDIT_LOG_DESTINATION: 'file',
      AUDIT_LOG_FILE_PATH: join(dir, `job-${job}.ndjson`),
    }),
    decide: ({ iid }) => ({ approver: 'ada', decision: iid === 2 ? 'reject' : 'approve' }),
    meanwhile: (patch, { iid }) => (iid === 3 ? `${patch}+backdoor()\n` : patch),
  })
  story.chapter('Webhooks come in, and only those of GitLab are accepted')
  const accepted = Array.from({ length: size }, (_, at) => agent.receive(requestOf(at + 1, webhookSecret)))
  const forged = [agent.receive(requestOf(1, 'a guess')), agent.receive(requestOf(1, webhookSecret))]
  story.say(
    `${accepted.filter(Boolean).length} comments accepted; of a forged and a replayed one ${forged.filter(Boolean).length}.`,
  )
  story.chapter('Each is worked on in a job of its own, approved, and pushed')
  await agent.drain()
  await audit.close()
  const lines = globSync(join(dir, '*.ndjson')).flatMap(readLines)
  const byWork = Map.groupBy(lines, (line) => line.correlation_id)
  const carriedOut = size - 2
  const isComplete = (work: readonly Line[]) => steps.every((step) => work.some(({ action }) => action === step))
  const complete = [...byWork.values()].filter(isComplete).length
  story.say(`${complete} comments have every step, from webhook to comment, under one correlation id.`)
  story.say('The rejected patch and the exchanged one were not pushed; the trail says so.')
  story.chapter('Every call left one record, and every copy verifies')
  const tried = lines.filter(({ attempts = 1 }) => attempts > 1).length
  story.say(
    `${coverage.calls} calls of clients, ${tried} of them tried again, ${coverage.uncovered.length} without a record.`,
  )
  const verdicts = await verdictsOf(dir, { agent: audit.verifierKey, job: jobKey.trim() })
  story.say(`${verdicts.length} files: ${[...new Set(verdicts)].join(', ')}.`)
  return {
    actions: countActions(lines),
    requests: remote.requests.length,
    complete,
    carriedOut,
    uncovered: coverage.uncovered.map(({ method, why }) => `${method}: ${why}`),
    leaks: leaksIn(dir),
    verdicts,
  }
}

function requestOf(iid: number, token: string) {
  const comment: Comment = {
    project: 7,
    iid,
    issue: `BILL-${100 + iid}`,
    initiator: 'grace',
    command: '/fix',
  }
  const headers = { 'x-gitlab-token': token, 'x-gitlab-event': 'Note Hook', 'x-gitlab-event-uuid': `event-${iid}` }
  return { body: JSON.stringify(comment), headers, sourceIp: '203.0.113.9' }
}

function readLines(path: string): Line[] {
  const records = readFileSync(path, 'utf8').split('\n').slice(0, -1)
  return records
    .map((text) => JSON.parse(text) as Line & { event_type: string })
    .filter((line) => line.event_type === 'audit')
}

function countActions(lines: readonly Line[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { action, outcome } of lines) {
    const name = outcome === 'denied' || outcome === 'failure' ? `${action} ${outcome}` : action
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}

async function verdictsOf(dir: string, keys: { agent: string; job: string }): Promise<string[]> {
  const agent = await verify([join(dir, 'agent.ndjson')], keys.agent)
  const jobs = await verify(globSync(join(dir, 'job-*.ndjson')).sort(), keys.job)
  return [...agent.sources, ...jobs.sources].map(({ verdict }) => verdict)
}

/** Secrets and texts must stand in no trail. */
function leaksIn(dir: string): string[] {
  const text = globSync(join(dir, '*.ndjson'))
    .map((path) => readFileSync(path, 'utf8'))
    .join('')
  const hidden = { remoteToken, webhookSecret, issueText, patchText: 'sum(own)', backdoor: 'backdoor()' }
  return Object.entries(hidden).flatMap(([name, value]) => (text.includes(value) ? [name] : []))
}

/**
 * The agent: a comment on a merge request comes in as a webhook, waits in a queue, is worked on in a job, must be
 * approved, and ends as a pushed branch and a comment. Everything that happens for one comment has one correlation id.
 */

import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  type Approval,
  type Audit,
  type AuthenticateWebhook,
  auditWebhooks,
  type CallCoverage,
  checkApproval,
  recordApproval,
} from 'otel-audit'
import { type Clients, createClients } from './clients.ts'

const program = join(import.meta.dirname, 'job.ts')
const msMax = 60_000

/** The comment, as the webhook says it. */
export interface Comment {
  readonly project: number
  readonly iid: number
  readonly issue: string
  readonly initiator: string
  readonly command: string
}

/** What waits in the queue: JSON, with the context beside the work. */
interface QueuedWork {
  readonly headers: Record<string, string>
  readonly comment: Comment
}

export interface AgentParts {
  readonly audit: Audit
  readonly origin: string
  readonly webhookSecret: string
  readonly coverage: CallCoverage
  /** The environment of the job with this number: where its trail goes. */
  readonly jobEnvironment: (job: number) => Record<string, string>
  /** Who decides on a patch, and how. */
  readonly decide: (comment: Comment) => { readonly approver: string; readonly decision: 'approve' | 'reject' }
  /** What happens to a patch between its approval and its push; for the story of one that is exchanged. */
  readonly meanwhile: (patch: string, comment: Comment) => string
}

export class Agent {
  readonly #parts: AgentParts
  readonly #clients: Clients
  readonly #authenticate: AuthenticateWebhook
  readonly #queue: string[] = []
  #jobs = 0

  constructor(parts: AgentParts) {
    this.#parts = parts
    this.#clients = createClients(parts.audit, parts.origin, parts.coverage)
    this.#authenticate = auditWebhooks(parts.audit, { scheme: 'gitlab', keys: [parts.webhookSecret] })
  }

  /** Takes a webhook; whether it was accepted. One that is starts a piece of work with an id of its own. */
  receive(request: { body: string; headers: Record<string, string>; sourceIp: string }): boolean {
    const { audit } = this.#parts
    const correlation_id = randomUUID()
    return audit.withContext({ correlation_id }, () => {
      if (!this.#authenticate(request).accepted) return false
      const comment = JSON.parse(request.body) as Comment
      const { command, project: project_id, iid: mr_iid, initiator } = comment
      const from = audit.child({ actor: { type: 'webhook_event', id: correlation_id, on_behalf_of: initiator } })
      from.emit({
        action: 'command.received',
        operation: 'execute',
        outcome: 'success',
        details: { command, project_id, mr_iid, initiator },
      })
      this.#queue.push(JSON.stringify({ headers: audit.inject({}), comment }))
      return true
    })
  }

  /** Works on everything that waits. */
  async drain(): Promise<void> {
    const { audit } = this.#parts
    for (let text = this.#queue.shift(); text !== undefined; text = this.#queue.shift()) {
      const { headers, comment } = JSON.parse(text) as QueuedWork
      await audit.withContext(audit.extract(headers), () => this.#work(comment))
    }
  }

  async #work(comment: Comment): Promise<void> {
    const { audit, decide, meanwhile } = this.#parts
    const { gitlab, jira } = this.#clients
    const { project, iid, issue } = comment
    await gitlab.getProject(project)
    await gitlab.getMergeRequest(project, iid)
    const [change] = await gitlab.getDiff(project, iid)
    const { fields } = await jira.getIssue(issue)
    const patch = await this.#code(issue, `${fields.description}\n${change?.diff}`)
    const target = { resource_type: 'merge_request', id: `${project}!${iid}` }
    const approval: Approval = recordApproval(audit, { what: patch, target, ...decide(comment) })
    await this.#publish(comment, { patch: meanwhile(patch, comment), approval })
  }

  /** A job of its own: the context goes with its environment. */
  async #code(issue: string, prompt: string): Promise<string> {
    const { audit, origin, jobEnvironment } = this.#parts
    const own = { ...jobEnvironment(++this.#jobs), JOB_ORIGIN: origin, JOB_ISSUE: issue, JOB_PROMPT: prompt }
    const env = audit.inject({ ...process.env, ...own }, 'environment')
    const { stdout } = await promisify(execFile)(process.execPath, [program], { env, timeout: msMax })
    return (JSON.parse(stdout) as { patch: string }).patch
  }

  /** Only what was approved is pushed. */
  async #publish(comment: Comment, { patch, approval }: { patch: string; approval: Approval }): Promise<void> {
    const { audit } = this.#parts
    const { gitlab, jira } = this.#clients
    const { project, iid, issue } = comment
    const target = { resource_type: 'merge_request', id: `${project}!${iid}` }
    if (!checkApproval(audit, approval, { what: patch, target })) return
    const branch = `fix/${issue.toLowerCase()}`
    const { id: commit_sha } = await gitlab.push(project, { branch, patch })
    const details = { repo: `${project}`, branch, commit_sha }
    audit.emit({ action: 'branch.pushed', operation: 'update', outcome: 'success', target, details })
    await gitlab.postNote(project, iid, 'Done.')
    audit.emit({ action: 'comment.posted', operation: 'create', outcome: 'success', target })
    await jira.transition(issue, 'In Review')
  }
}

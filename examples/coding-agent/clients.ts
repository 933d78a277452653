/** The agent's clients, and what is recorded of their calls. This is the part to copy: the clients know nothing of audit. */

import { auditCalls, auditFetch, type CallCoverage, type CallDescriptions, type Emits } from 'otel-audit'
import { remoteToken } from './remote.ts'

class AnswerError extends Error {
  readonly status: number

  constructor(status: number) {
    super(`answered ${status}`)
    this.status = status
  }
}

const triesMax = 3

/** Sends JSON, and tries again while the other side is busy. */
class Http {
  readonly #origin: string
  readonly #fetch: typeof fetch

  constructor(origin: string, send: typeof fetch) {
    this.#origin = origin
    this.#fetch = send
  }

  async send<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
    for (let tried = 1; ; tried += 1) {
      const response = await this.#fetch(`${this.#origin}${path}`, {
        method,
        headers: { authorization: `Bearer ${remoteToken}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      if (response.ok) return (response.status === 204 ? undefined : await response.json()) as Answer
      if (response.status < 500 || tried === triesMax) throw new AnswerError(response.status)
    }
  }
}

export class Gitlab {
  readonly #http: Http

  constructor(http: Http) {
    this.#http = http
  }

  getProject(project: number): Promise<{ path_with_namespace: string }> {
    return this.#http.send('GET', `/api/v4/projects/${project}`)
  }

  getMergeRequest(project: number, iid: number): Promise<{ sha: string }> {
    return this.#http.send('GET', `/api/v4/projects/${project}/merge_requests/${iid}`)
  }

  getDiff(project: number, iid: number): Promise<readonly { diff: string }[]> {
    return this.#http.send('GET', `/api/v4/projects/${project}/merge_requests/${iid}/diffs`)
  }

  push(project: number, { branch, patch }: { branch: string; patch: string }): Promise<{ id: string }> {
    return this.#http.send('POST', `/api/v4/projects/${project}/repository/commits`, { branch, patch })
  }

  postNote(project: number, iid: number, note: string): Promise<{ id: number }> {
    return this.#http.send('POST', `/api/v4/projects/${project}/merge_requests/${iid}/notes`, { body: note })
  }
}

export class Jira {
  readonly #http: Http

  constructor(http: Http) {
    this.#http = http
  }

  getIssue(key: string): Promise<{ fields: { description: string } }> {
    return this.#http.send('GET', `/rest/api/3/issue/${key}`)
  }

  transition(key: string, to: string): Promise<void> {
    return this.#http.send('POST', `/rest/api/3/issue/${key}/transitions`, { transition: to })
  }
}

/** The model; what it is asked and answers is recorded by whoever asks (`auditModelCall`). */
export class Copilot {
  readonly #http: Http

  constructor(http: Http) {
    this.#http = http
  }

  ask(prompt: string): Promise<{ text: string; usage: { input: number; output: number } }> {
    return this.#http.send('POST', '/v1/chat', { prompt })
  }
}

const mergeRequest = (project: number, iid: number) => ({ resource_type: 'merge_request', id: `${project}!${iid}` })
const issue = (key: string) => ({ resource_type: 'issue', id: key })

const gitlabCalls: CallDescriptions<Gitlab> = {
  getProject: {
    action: 'gitlab.api.get_project_info',
    target: (project) => ({ resource_type: 'project', id: `${project}` }),
  },
  getMergeRequest: { action: 'gitlab.api.get_mr_details', target: mergeRequest },
  getDiff: { action: 'gitlab.api.get_mr_diff', target: mergeRequest },
  postNote: { action: 'gitlab.api.post_mr_note', target: mergeRequest, details: () => ({ comment_type: 'note' }) },
  push: {
    action: 'gitlab.api.push_branch',
    target: (project, { branch }) => ({ resource_type: 'branch', id: `${project}/${branch}` }),
    details: ({ args: [repo, { branch }], result }) => ({ repo: `${repo}`, branch, commit_sha: result?.id }),
  },
}

const jiraCalls: CallDescriptions<Jira> = {
  getIssue: { action: 'jira.api.get_issue', target: issue },
  transition: { action: 'jira.api.transition_issue', target: issue, details: ({ args: [, to] }) => ({ to }) },
}

export interface Clients {
  readonly gitlab: Gitlab
  readonly jira: Jira
  readonly copilot: Copilot
}

/** Clients whose calls leave one record each. */
export function createClients(audit: Emits, origin: string, coverage: CallCoverage): Clients {
  const http = new Http(origin, auditFetch(audit, { coverage }))
  return {
    gitlab: auditCalls(audit, new Gitlab(http), { calls: gitlabCalls, coverage }),
    jira: auditCalls(audit, new Jira(http), { calls: jiraCalls, coverage }),
    copilot: new Copilot(new Http(origin, fetch)),
  }
}

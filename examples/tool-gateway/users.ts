/** The users: all at once, each with a connection and a session of its own, ten calls one after the other, nine of them no writes. */

import { Agent, request } from 'node:http'
import type { ToolCall } from './tools.ts'

/** What one user does. One in twenty looks at something confidential. */
const reads = ['files.list', 'files.read', 'records.search', 'files.read', 'files.read', 'records.search']
const writes = ['files.create', 'files.update', 'files.delete', 'jobs.run']
export const callsOfUser = 10
const curiousEvery = 20

export function callsOf(user: number): ToolCall[] {
  const who = { user: `u-${user}`, session: `session-${user}` }
  const curious = user % curiousEvery === 0 ? `confidential-${user}` : `f-${user}`
  const write = writes[user % writes.length] ?? ''
  return [
    { ...who, tool: 'health', target: 'gateway' },
    { ...who, tool: 'metrics', target: 'latency' },
    ...reads.map((tool, index) => ({ ...who, tool, target: `f-${user}-${index}` })),
    { ...who, tool: 'files.read', target: curious },
    { ...who, tool: write, target: `f-${user}` },
  ]
}

/** Sends the calls of so many users at once; answers by status. */
export async function sendCalls(url: string, users: number): Promise<Record<string, number>> {
  const statuses: Record<string, number> = {}
  const agent = new Agent({ keepAlive: true, maxSockets: users })
  const live = async (user: number) => {
    for (const call of callsOf(user)) {
      const status = await send(`${url}/tools/${call.tool}`, call, agent) // in order: a person does one thing after the other
      statuses[status] = (statuses[status] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: users }, (_, user) => live(user)))
  agent.destroy()
  return statuses
}

function send(url: string, call: ToolCall, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', agent }, (response) => {
      response.resume()
      response.once('end', () => resolve(response.statusCode ?? 0))
    })
    sent.once('error', reject)
    sent.end(JSON.stringify(call))
  })
}

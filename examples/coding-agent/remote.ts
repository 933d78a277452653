/** GitLab, Jira and a model on loopback, as far as the agent needs them. Now and then one is busy, as real ones are. */

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'

export interface Remote {
  readonly origin: string
  /** What each request was: method and path. */
  readonly requests: readonly string[]
  stop(): Promise<void>
}

/** The token that every one of them asks for; it must never stand in a trail. */
export const remoteToken = 'glpat-3xample-t0ken-of-the-agent'

/** Text of an issue and of an answer: never in a trail either. */
export const issueText = 'Customers of Example AG see the totals of others'
export const patchText = '--- a/total.ts\n+++ b/total.ts\n@@ -1 +1 @@\n-sum(all)\n+sum(own)\n'

type Answer = readonly [status: number, body: unknown]

const routes: readonly (readonly [method: string, path: RegExp, answer: (body: string) => Answer])[] = [
  ['GET', /^\/api\/v4\/projects\/\d+$/, () => [200, { path_with_namespace: 'example/billing' }]],
  ['GET', /^\/api\/v4\/projects\/\d+\/merge_requests\/\d+$/, () => [200, { title: 'Totals', sha: 'a1b2c3d4' }]],
  ['GET', /^\/api\/v4\/projects\/\d+\/merge_requests\/\d+\/diffs$/, () => [200, [{ diff: patchText }]]],
  ['POST', /^\/api\/v4\/projects\/\d+\/merge_requests\/\d+\/notes$/, () => [201, { id: 9 }]],
  ['POST', /^\/api\/v4\/projects\/\d+\/repository\/commits$/, () => [201, { id: 'e5f6a7b8' }]],
  ['GET', /^\/rest\/api\/3\/issue\/[A-Z]+-\d+$/, () => [200, { fields: { description: issueText } }]],
  ['POST', /^\/rest\/api\/3\/issue\/[A-Z]+-\d+\/transitions$/, () => [204, undefined]],
  ['POST', /^\/v1\/chat$/, () => [200, { text: patchText, usage: { input: 812, output: 64 } }]],
]

/** Every seventh request of one kind is answered 503, once. */
const busyEvery = 7

export async function startRemote(): Promise<Remote> {
  const requests: string[] = []
  let reads = 0
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await text(request)
    const { method = '', url = '' } = request
    requests.push(`${method} ${url}`)
    const isBusy = method === 'GET' && ++reads % busyEvery === 0
    const route = routes.find(([known, path]) => known === method && path.test(url))
    const isKnown = request.headers.authorization === `Bearer ${remoteToken}`
    const [status, given] = !isKnown ? [401, {}] : isBusy ? [503, {}] : (route?.[2](body) ?? [404, {}])
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(given === undefined ? undefined : JSON.stringify(given))
  }
  const server = createServer((request, response) => void answer(request, response))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  return {
    origin: `http://127.0.0.1:${address.port}`,
    requests,
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

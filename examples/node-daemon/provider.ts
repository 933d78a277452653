/** A model provider on loopback that answers alike every time, and refuses one kind of question with 429. */

import { once } from 'node:events'
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'

export interface Provider {
  readonly url: string
  /** Prompts, as they arrived. */
  readonly prompts: readonly string[]
  stop(): Promise<void>
}

const severityByWord = [
  ['connected', 'INFO'],
  ['wrote', 'WARNING'],
  ['loaded', 'CRITICAL'],
] as const

export async function startProvider(): Promise<Provider> {
  const prompts: string[] = []
  const server = createServer(async (request, response) => {
    const { prompt } = JSON.parse(await text(request)) as { readonly prompt: string }
    prompts.push(prompt)
    const severity = severityByWord.find(([word]) => prompt.includes(word))?.[1]
    const usage = { input_tokens: Math.ceil(prompt.length / 4), output_tokens: 12 }
    const answer = { severity, explanation: `This looks ${severity} to me because of ${prompt}`, usage }
    response.writeHead(severity === undefined ? 429 : 200, { 'content-type': 'application/json' })
    response.end(severity === undefined ? '{"error":"too many questions"}' : JSON.stringify(answer))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the provider has no port')
  return {
    url: `http://127.0.0.1:${address.port}/analyse`,
    prompts,
    stop: async () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

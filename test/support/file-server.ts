/** A server that keeps what is put there (`PUT`), in memory. */

import { createServer } from 'node:http'
import type { TestContext } from 'node:test'

export interface FileServer {
  readonly url: string
  /** By path. */
  readonly files: Map<string, string>
  /** What it answers; with anything but 201 it keeps nothing. */
  status: number
}

export async function startFileServer(t: TestContext): Promise<FileServer> {
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request.setEncoding('utf8') as AsyncIterable<string>) text += chunk
    if (request.method === 'PUT' && own.status === 201) own.files.set(request.url ?? '', text)
    response.writeHead(own.status).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const { port } = server.address() as { port: number }
  const own: FileServer = { url: `http://127.0.0.1:${port}`, files: new Map<string, string>(), status: 201 }
  return own
}

/**
 * Reads what destinations prove themselves with from files: PEM and secrets. Read anew for each use, so that a
 * rotated file counts without a restart; nothing of it is kept or ever printed.
 */

import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import type tls from 'node:tls'
import type { TlsFiles } from './options.ts'

/** What a TLS connection takes from the files. Throws what the disk throws, the path in its message. */
export function readTls({ caFile, certFile, keyFile, serverName }: TlsFiles): tls.ConnectionOptions {
  return {
    ...(caFile !== undefined && { ca: readFileSync(caFile) }),
    ...(certFile !== undefined && { cert: readFileSync(certFile) }),
    ...(keyFile !== undefined && { key: readFileSync(keyFile) }),
    ...(serverName !== undefined && { servername: serverName }),
  }
}

/** One secret a line; empty lines and those that begin with `#` are none. */
export function readSecrets(path: string): string[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
}

/** Keeps connections to the host of `url` alive; each new one reads the files. */
export function createAgent(url: URL, files: TlsFiles = {}): http.Agent | https.Agent {
  if (url.protocol !== 'https:') return new http.Agent({ keepAlive: true })
  // A resumed session asks for no certificate and shows none: what was rotated would not count.
  const agent = new https.Agent({ keepAlive: true, maxCachedSessions: 0 })
  const connect = agent.createConnection.bind(agent)
  agent.createConnection = (options, ...rest) => connect({ ...options, ...readTls(files) }, ...rest)
  return agent
}

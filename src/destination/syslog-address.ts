/** Where a syslog server listens, as the user writes it, and what a way to it can do. */

export type SyslogTransport = 'udp' | 'tcp' | 'tls'

export interface SyslogAddress {
  readonly transport: SyslogTransport
  readonly host: string
  readonly port: number
}

/** A way to the server. */
export interface SyslogLine {
  /** Resolves when the messages are on their way as far as this line can know. Rejects for whatever prevents it. */
  write(messages: readonly Buffer[], signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

const portsDefault = { udp: 514, tcp: 514, tls: 6514 } as const

/** What makes an address one. */
export const addressRule = 'udp://host:514, tcp://host:514, tls://host:6514, or host:514, which is UDP'

/** `undefined` for what is no address. The port defaults to 514, of TLS to 6514. */
export function parseAddress(text: string): SyslogAddress | undefined {
  const [, transport = 'udp', rest = ''] = /^(?:(udp|tcp|tls):\/\/)?([^/]+)\/?$/i.exec(text) ?? []
  const known = transport.toLowerCase() as SyslogTransport
  if (rest === '' || !URL.canParse(`http://${rest}`)) return undefined
  const { hostname, port, username, password, search, hash } = new URL(`http://${rest}`)
  if (`${username}${password}${search}${hash}` !== '') return undefined
  // The parser hides the port of http.
  const given = port === '' && rest.endsWith(':80') ? 80 : Number(port)
  return { transport: known, host: hostname.replace(/^\[|\]$/g, ''), port: given || portsDefault[known] }
}

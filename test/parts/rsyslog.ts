/**
 * A real rsyslog: the system's where it is installed with its TLS driver, else Debian's packages unpacked into the
 * cache (no root is needed). Started on loopback, it writes each message it takes to a file, field by field.
 * Asked to end, it writes down what it has read, which it would else give 10 ms for.
 */

import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { requireTool, runStep } from './build.ts'
import { installOnce, partDirectory } from './cache.ts'
import { freePort } from './process.ts'
import { listens, OwnedServer } from './server.ts'

const packages = ['rsyslog', 'rsyslog-gnutls', 'libestr0', 'libfastjson4', 'liblognorm5']
const readyMsMax = 10_000

/** Why a test that needs rsyslog is skipped where it is absent. */
export const rsyslogAbsent = 'there is no rsyslog with its TLS driver: npm run parts -- rsyslog'

interface Installed {
  readonly binary: string
  readonly modules: string
  readonly libraries: string
}

function unpackedDirectory(): string {
  return partDirectory('rsyslog', 'debian', packages.join(' '))
}

function findIn(root: string): Installed | undefined {
  const binary = join(root, 'usr/sbin/rsyslogd')
  const [driver] = globSync(join(root, 'usr/lib/*/rsyslog/lmnsd_gtls.so'))
  if (!existsSync(binary) || driver === undefined) return undefined
  const modules = join(driver, '..')
  return { binary, modules, libraries: join(modules, '..') }
}

function installed(): Installed | undefined {
  return findIn('/') ?? findIn(unpackedDirectory())
}

/** Path of rsyslogd, or `undefined` where there is none with its TLS driver. */
export function rsyslogBinary(): string | undefined {
  return installed()?.binary
}

/** Unpacks Debian's packages unless rsyslog is there already. Throws MissingToolError without apt-get. */
export async function unpackRsyslog({ onProgress }: { onProgress: (line: string) => void }): Promise<string> {
  await installOnce(unpackedDirectory(), async (workshop) => {
    requireTool('apt-get', ['--version'], 'rsyslog: the tests of the syslog destination')
    const step = { cwd: workshop, env: process.env, onProgress }
    await runStep('apt-get', ['download', ...packages], step)
    for (const archive of globSync(join(workshop, '*.deb'))) await runStep('dpkg', ['-x', archive, workshop], step)
  })
  const binary = rsyslogBinary()
  if (binary === undefined) throw new Error(`the packages hold no rsyslog with its TLS driver: ${packages.join(', ')}`)
  return binary
}

export interface RsyslogOptions {
  /** An empty directory: configuration, log and what it received. */
  readonly dir: string
  /** With these it listens on TLS and nothing else; clients must show a certificate of this authority. */
  readonly tls?: { readonly caFile: string; readonly certFile: string; readonly keyFile: string }
}

/** A message as rsyslog understood it. */
export interface SyslogMessage {
  readonly facility: string
  readonly severity: string
  readonly hostname: string
  readonly appName: string
  readonly messageId: string
  readonly timestamp: string
  readonly structuredData: string
  readonly text: string
}

export class Rsyslog extends OwnedServer {
  readonly port: number
  readonly #dir: string

  constructor(options: RsyslogOptions, { binary, modules, libraries }: Installed, port: number) {
    const { dir } = options
    super({
      name: 'rsyslog',
      dir,
      log: 'rsyslog.log',
      command: binary,
      args: ['-n', '-f', join(dir, 'rsyslog.conf'), '-i', join(dir, 'pid'), '-M', modules],
      env: { ...process.env, LD_LIBRARY_PATH: libraries },
      readyMsMax,
      isReady: () => listens(port),
    })
    this.#dir = dir
    this.port = port
    writeFileSync(join(dir, 'rsyslog.conf'), configuration(options, port))
  }

  /** Every message it has written down. */
  received(): SyslogMessage[] {
    const path = join(this.#dir, 'received')
    if (!existsSync(path)) return []
    return readFileSync(path, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => {
        const [facility = '', severity = '', hostname = '', appName = '', messageId = '', ...rest] = line.split('\t')
        const [timestamp = '', structuredData = '', text = ''] = rest
        return { facility, severity, hostname, appName, messageId, timestamp, structuredData, text }
      })
  }
}

/** Starts rsyslog on one port: UDP and TCP, or TLS. */
export async function startRsyslog(options: RsyslogOptions): Promise<Rsyslog> {
  const found = installed()
  if (found === undefined) throw new Error(rsyslogAbsent)
  const rsyslog = new Rsyslog(options, found, await freePort())
  await rsyslog.start()
  return rsyslog
}

function configuration({ dir, tls }: RsyslogOptions, port: number): string {
  const fields = [
    '%syslogfacility-text%',
    '%syslogseverity-text%',
    '%hostname%',
    '%app-name%',
    '%msgid%',
    '%timereported:::date-rfc3339%',
    '%structured-data%',
    '%msg%',
  ]
  const files = tls === undefined ? '' : tlsFiles(tls)
  const driver = 'StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/certvalid"'
  const udp = `module(load="imudp")\ninput(type="imudp" address="127.0.0.1" port="${port}")`
  return `global(workDirectory="${dir}" maxMessageSize="64k" net.enableDNS="off"${files})
main_queue(queue.timeoutShutdown="10000")
module(load="imtcp"${tls === undefined ? '' : ` ${driver}`})
input(type="imtcp" address="127.0.0.1" port="${port}")
${tls === undefined ? udp : ''}
template(name="fields" type="string" string="${fields.join('\\t')}\\n")
action(type="omfile" file="${join(dir, 'received')}" template="fields")
`
}

function tlsFiles({ caFile, certFile, keyFile }: NonNullable<RsyslogOptions['tls']>): string {
  return ` DefaultNetstreamDriverCAFile="${caFile}" DefaultNetstreamDriverCertFile="${certFile}" DefaultNetstreamDriverKeyFile="${keyFile}"`
}

/**
 * `otel-audit witness`: a witness as a small HTTP server. It runs where the operators of the trail cannot reach: then even
 * they cannot show two histories. Ends at SIGTERM or SIGINT; whatever it has cosigned is on disk by then.
 */

import { mkdirSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { witnessKeyOf } from '../chain/cosignature.ts'
import { checkKeyName, loadSigner } from '../chain/keys.ts'
import { nowMs } from '../clock.ts'
import { AuditError, errorText } from '../errors.ts'
import { lockFile } from '../spool/lock.ts'
import { openWitnessStore } from '../witness/store.ts'
import { addCheckpoint, type WitnessParts } from '../witness/witness.ts'
import { type Command, type CommandIo, parseOptions, requireOption } from './command.ts'
import { printable } from './printable.ts'
import { readVerifiers } from './verifier-keys.ts'

/** The one line that `witness --json` prints once it listens. */
export interface WitnessListening {
  readonly url: string
  /** The witness's verifier key: what cosignatures are checked with. */
  readonly witnessKey: string
}

/** A checkpoint and its proof have some 4 KiB at most. */
const requestBytesMax = 64 * 1_024
const requestMsMax = 10_000

const options = {
  key: { type: 'string' },
  name: { type: 'string' },
  store: { type: 'string' },
  listen: { type: 'string', default: '127.0.0.1:8181' },
  vkey: { type: 'string', multiple: true, default: [] as string[] },
  json: { type: 'boolean', default: false },
} as const

export const command: Command = {
  name: 'witness',
  summary: 'cosign the checkpoints of trails, never two histories of one',
  help: `Usage: otel-audit witness --key FILE --name NAME --store DIR --vkey KEY... [--listen HOST:PORT] [--json]

Runs a witness (c2sp.org/tlog-witness): POST /add-checkpoint takes a checkpoint with a proof that it continues the one
cosigned last, and answers with a cosignature (c2sp.org/tlog-cosignature). A checkpoint that does not continue it is
refused with 409 or 422: whoever rewrites a trail, even with its signing key, gets no cosignature for it any more.
Run it on another machine, under other hands than the trail. It sees sizes and roots, never records.

Options:
  --key FILE          the witness's own Ed25519 key (otel-audit key new); not that of the trail
  --name NAME         what it cosigns as, such as witness.example.com/w1
  --store DIR         where it keeps what it cosigned last; losing it means to trust each trail anew
  --vkey KEY          verifier key of a trail to witness, or a file with one a line; may be repeated
  --listen HOST:PORT  default 127.0.0.1:8181; port 0 takes a free one. Speaks HTTP: put TLS in front of it
  --json              print {"url","witnessKey"} once it listens
  -h, --help          show this

Examples:
  otel-audit witness --key witness.key --name witness.example.com/w1 --store ./witness --vkey audit.vkey
`,
  async run(argv, io) {
    const { values } = parseOptions({ args: [...argv], options })
    const name = requireOption(values.name, '--name')
    checkKeyName(name, '--name')
    const signer = loadSigner(requireOption(values.key, '--key'), name)
    const logs = values.vkey.flatMap(readVerifiers)
    if (logs.length === 0) requireOption(undefined, '--vkey')
    const directory = requireOption(values.store, '--store')
    const release = takeStore(directory)
    try {
      const now = () => Math.floor(nowMs() / 1_000)
      const parts = { signer, logs, store: openWitnessStore(directory), now }
      const server = createServer({ requestTimeout: requestMsMax }, (request, response) =>
        serve(request, response, { parts, io }),
      )
      const url = await listen(server, values.listen)
      const listening: WitnessListening = { url, witnessKey: witnessKeyOf(signer) }
      const text = `listens at ${url}/add-checkpoint as ${listening.witnessKey}`
      io.stdout.write(values.json ? `${JSON.stringify(listening)}\n` : `${text}\n`)
      await ended(server)
      return 0
    } finally {
      release()
    }
  },
}

/** Two witnesses on one store could cosign what each alone would refuse. */
function takeStore(directory: string): () => void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const lock = lockFile(join(directory, 'lock'), 0)
  if (!('holder' in lock)) return () => lock.release()
  throw new AuditError('SPOOL_LOCKED', `another witness runs on ${directory} (${lock.holder})`, {
    setting: '--store',
    hint: 'stop it, or name a directory of its own for each witness, with a key of its own',
  })
}

async function listen(server: Server, address: string): Promise<string> {
  const [, host = '', port = ''] = /^(.+):(\d{1,5})$/.exec(address) ?? []
  if (port === '' || Number(port) > 65_535)
    throw new AuditError('INVALID_OPTION', `--listen is ${address}; allowed: HOST:PORT`, {
      setting: '--listen',
      hint: 'such as 127.0.0.1:8181',
    })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const hint = 'name an address of this machine and a port that is free'
      const message = `--listen ${address}: ${errorText(cause)}`
      reject(new AuditError('INVALID_OPTION', message, { setting: '--listen', hint, cause }))
    })
    server.listen(Number(port), host.replace(/^\[|\]$/g, ''), resolve)
  })
  const bound = server.address()
  return `http://${host}:${typeof bound === 'object' ? bound?.port : port}`
}

function ended(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      server.close(() => resolve())
      server.closeAllConnections() // what was cosigned is kept; who did not hear of it asks again
    }
    process.once('SIGTERM', end)
    process.once('SIGINT', end)
  })
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  { parts, io }: { parts: WitnessParts; io: CommandIo },
): Promise<void> {
  const reply = (status: number, body: string, type = 'text/plain') =>
    void response.writeHead(status, { 'content-type': type, connection: 'close' }).end(body)
  try {
    if (new URL(request.url ?? '/', 'http://witness').pathname !== '/add-checkpoint') return reply(404, 'not found\n')
    if (request.method !== 'POST') return reply(405, 'POST a checkpoint\n')
    const body = await readBody(request)
    if (body === undefined) return reply(413, 'the request is too large\n')
    const { status, body: text, type } = addCheckpoint(body, parts)
    if (status !== 200) io.stderr.write(`refused (${status}): ${printable(text.trim())}\n`)
    reply(status, text, type)
  } catch (error) {
    io.stderr.write(`${printable(errorText(error))}\n`)
    reply(500, 'the witness cannot read or keep what it has cosigned\n')
  }
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > requestBytesMax) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/**
 * `otel-audit key`: makes a signing key and prints its public half, the verifier key. The private key never
 * leaves its file; standard output carries nothing but the verifier key, ready to be redirected into a file.
 */

import { checkKeyName, createKeyFile, loadSigner } from '../chain/keys.ts'
import { AuditError } from '../errors.ts'
import { type Command, type CommandGroup, type CommandIo, parseOptions, requireOption } from './command.ts'
import { list, rotate } from './key-rotate.ts'

/** What `key new --json` and `key public --json` print. */
export interface KeyReport {
  /** The private key's file, as it was given. */
  readonly file: string
  /** The name the key signs under: the deployment. */
  readonly name: string
  /** Eight hex digits; name and key id together identify a key. */
  readonly keyId: string
  /** `<name>+<key id>+<base64>`: give it to whoever verifies. */
  readonly verifierKey: string
}

const newKey: Command = {
  name: 'key new',
  summary: 'make an Ed25519 signing key',
  help: `Usage: otel-audit key new --name NAME --out FILE [--json]

Makes an Ed25519 signing key in FILE (PKCS#8 PEM, mode 0600) and prints its verifier key.
An existing file is never overwritten.

Options:
  --name NAME   what the key signs as: the deployment, such as prod; no white space, no "+"
  --out FILE    where the private key goes
  --json        print {"file","name","keyId","verifierKey"} instead of the verifier key alone
  -h, --help    show this

Examples:
  otel-audit key new --name prod --out audit.key > audit.vkey
  otel-audit key new --name example.com/billing --out /etc/otel-audit/billing.key --json
`,
  async run(argv, io) {
    const { values } = parseOptions({ args: [...argv], options: { ...commonOptions, out: { type: 'string' } } })
    const name = requireName(values.name)
    const file = requireOption(values.out, '--out')
    if (!createKeyFile(file))
      throw new AuditError('INVALID_OPTION', `--out: ${file} exists already`, {
        setting: '--out',
        hint: 'a key is never overwritten; name another file, or print this one with: otel-audit key public',
      })
    const report = reportOf(file, name)
    io.stderr.write(`Made ${file}. Keep it secret; give the verifier key to whoever verifies.\n`)
    return print(report, values.json, io)
  },
}

const publicKey: Command = {
  name: 'key public',
  summary: 'print the verifier key of a signing key',
  help: `Usage: otel-audit key public FILE --name NAME [--json]

Prints the verifier key of the signing key in FILE: what \`otel-audit verify --vkey\` reads.

Options:
  --name NAME   what the key signs as: the deployment of the service that uses it
  --json        print {"file","name","keyId","verifierKey"} instead of the verifier key alone
  -h, --help    show this

Examples:
  otel-audit key public audit.key --name prod > audit.vkey
  otel-audit key public ./audit-spool/audit.key --name billing --json
`,
  async run(argv, io) {
    const { values, positionals } = parseOptions({ args: [...argv], options: commonOptions, allowPositionals: true })
    const name = requireName(values.name)
    const [file, extra] = positionals
    if (extra !== undefined)
      throw new AuditError('INVALID_OPTION', `unexpected argument ${extra}`, {
        setting: 'FILE',
        hint: 'name one key file at a time',
      })
    return print(reportOf(requireOption(file, 'FILE'), name), values.json, io)
  },
}

export const command: CommandGroup = {
  name: 'key',
  summary: 'make a signing key, rotate it, print its public half: new, public, rotate, list',
  commands: [newKey, publicKey, rotate, list],
}

const commonOptions = { name: { type: 'string' }, json: { type: 'boolean', default: false } } as const

function requireName(value: string | undefined): string {
  const name = requireOption(value, '--name')
  checkKeyName(name, '--name')
  return name
}

function reportOf(file: string, name: string): KeyReport {
  const { keyId, verifierKey } = loadSigner(file, name)
  return { file, name, keyId, verifierKey }
}

function print(report: KeyReport, json: boolean, io: CommandIo): number {
  io.stdout.write(`${json ? JSON.stringify(report) : report.verifierKey}\n`)
  return 0
}

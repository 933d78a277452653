/**
 * `otel-audit key rotate` and `key list`: replaces a signing key by a new one with a statement that both have signed, and
 * shows the keys that a trail has had. The trail says so itself when it is opened next; nothing here touches a trail.
 */

import { readRotations, rotateKey, rotationsFileOf } from '../chain/key-rotation.ts'
import { checkKeyName, loadSigner } from '../chain/keys.ts'
import { rotationsTo } from '../chain/rotation.ts'
import { AuditError } from '../errors.ts'
import { type Command, parseOptions, requireOption } from './command.ts'

/** What `key rotate --json` prints. */
export interface KeyRotationReport {
  /** Where the new key lies. */
  readonly file: string
  /** Where the old key lies: to be destroyed once the trail has been opened with the new one. */
  readonly oldFile: string
  /** Public: what both keys have signed; it stays beside the new key. */
  readonly rotationsFile: string
  readonly name: string
  /** Verifier keys. */
  readonly old: string
  readonly new: string
}

/** What `key list --json` prints: oldest first, the one that signs last. */
export interface KeyListReport {
  readonly name: string
  readonly keys: readonly {
    readonly verifierKey: string
    readonly keyId: string
    readonly state: 'replaced' | 'signs'
  }[]
}

const commonOptions = { name: { type: 'string' }, json: { type: 'boolean', default: false } } as const

export const rotate: Command = {
  name: 'key rotate',
  summary: 'replace a signing key by a new one',
  help: `Usage: otel-audit key rotate FILE --name NAME [--next FILE] [--json]

Makes a new key in the place of the one in FILE, and prints its verifier key. The old key stays beside it as
FILE.KEYID; what both keys have signed about the change is added to FILE.rotations, which is public.

The service signs with the new key when it is started next: it then seals audit.key.rotated, and whoever trusts the
old verifier key can verify what the new one signs. Until then it goes on with the old key, which it holds in memory.
Destroy the old key after that start. Of the journal of a PostgreSQL database, every process that seals it has to be
started anew: one that still has the old key seals nothing there.

If the old key may be in other hands, this is not enough: whoever has it can rotate it too. Give those who verify the
new verifier key by another way, and have them stop trusting the old one.

Options:
  --name NAME   what the key signs as: the deployment of the service that uses it
  --next FILE   leave FILE as it is and take the key in this file, or make one there; then name it in
                keys.signingKeyFile. For keys on mounts that cannot be written
  --json        print one JSON object (type KeyRotationReport)
  -h, --help    show this

Examples:
  otel-audit key rotate /etc/otel-audit/audit.key --name prod >> audit.vkey
  otel-audit key rotate old.key --name prod --next new.key --json
`,
  async run(argv, io) {
    const options = { ...commonOptions, next: { type: 'string' } } as const
    const { values, positionals } = parseOptions({ args: [...argv], options, allowPositionals: true })
    const { name, file } = readKeyArguments(values.name, positionals)
    const { file: newFile, oldFile, rotationsFile, old, new: next } = rotateKey(file, name, values.next)
    const report: KeyRotationReport = { file: newFile, oldFile, rotationsFile, name, old, new: next }
    io.stderr.write(
      `The new key is in ${newFile}, the old one in ${oldFile}. Start the service anew, then destroy the old one.\n`,
    )
    io.stdout.write(`${values.json ? JSON.stringify(report) : next}\n`)
    return 0
  },
}

export const list: Command = {
  name: 'key list',
  summary: 'print the verifier keys that led to a signing key',
  help: `Usage: otel-audit key list FILE --name NAME [--json]

Prints the verifier keys that rotations in FILE.rotations lead through, oldest first; the last one is that of FILE.
Each step was signed by both of its keys.

Options:
  --name NAME   what the key signs as: the deployment of the service that uses it
  --json        print one JSON object (type KeyListReport)
  -h, --help    show this

Examples:
  otel-audit key list /etc/otel-audit/audit.key --name prod
`,
  async run(argv, io) {
    const { values, positionals } = parseOptions({ args: [...argv], options: commonOptions, allowPositionals: true })
    const { name, file } = readKeyArguments(values.name, positionals)
    const current = loadSigner(file, name).verifierKey
    const replaced = rotationsTo(current, readRotations(rotationsFileOf(file))).map(({ old }) => old)
    const keys = [...replaced, current].map((verifierKey) => ({
      verifierKey,
      keyId: verifierKey.split('+')[1] ?? '',
      state: verifierKey === current ? ('signs' as const) : ('replaced' as const),
    }))
    if (values.json) io.stdout.write(`${JSON.stringify({ name, keys } satisfies KeyListReport)}\n`)
    else io.stdout.write(keys.map(({ verifierKey, state }) => `${verifierKey}  ${state}\n`).join(''))
    return 0
  },
}

function readKeyArguments(name: string | undefined, positionals: readonly string[]): { name: string; file: string } {
  const given = requireOption(name, '--name')
  checkKeyName(given, '--name')
  const [file, extra] = positionals
  if (extra === undefined) return { name: given, file: requireOption(file, 'FILE') }
  throw new AuditError('INVALID_OPTION', `unexpected argument ${extra}`, {
    setting: 'FILE',
    hint: 'name one key file at a time',
  })
}

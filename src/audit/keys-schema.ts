/** The settings of what a trail is signed with, and of the verification that runs beside it. */

import { z } from 'zod'
import { parseWitnessKey } from '../chain/cosignature.ts'
import { noted } from './setting-note.ts'

const text = z.string().min(1, 'a string that is not empty')

/** A timer of Node counts to 2^31 milliseconds. */
const intervalMinutesMax = 35_000

export const keysSchema = z.strictObject({
  signingKey: noted(text.optional(), {
    about:
      'the key itself: PKCS#8 PEM of an Ed25519 key, its line breaks as they are or written `\\n`. A file is better: the environment of a process is seen by more people ([keys.md](keys.md))',
    otherwise: 'none',
    example: '-----BEGIN PRIVATE KEY-----\\n…\\n-----END PRIVATE KEY-----',
    isSecret: true,
  }),
  signingKeyFile: noted(text.optional(), {
    about: 'PKCS#8 PEM of an Ed25519 key, mode 0600; made on first use',
    otherwise: '`audit.key` in the spool directory, with a warning',
    example: '/etc/otel-audit/audit.key',
  }),
  rotationsFile: noted(text.optional(), {
    about: 'where `otel-audit key rotate` has written the rotations that led to this key ([keys.md](keys.md))',
    otherwise: 'the file of the key and `.rotations`',
    example: '/etc/otel-audit/audit.key.rotations',
  }),
})

const witnessKey = text.superRefine((key, context) => {
  const witness = parseWitnessKey(key)
  if ('problem' in witness)
    context.addIssue({ code: 'custom', message: `${witness.reason}; \`otel-audit witness\` prints it when it starts` })
})

/** Witnesses that are asked to cosign checkpoints. */
export const witnessesSchema = z
  .array(
    z.strictObject({
      url: z.string().regex(/^https?:\/\/\S+$/i, 'a URL that begins with https:// or http://'),
      vkey: witnessKey,
      intervalSeconds: z.int().min(1).max(86_400).default(60),
    }),
    'a list of {"url", "vkey"}',
  )
  .refine((list) => new Set(list.map(({ vkey }) => vkey)).size === list.length, 'each witness once')

export const verifySchema = z.strictObject({
  intervalMinutes: noted(z.number().min(0).max(intervalMinutesMax).default(1_440), {
    about:
      'how often a thread verifies the spool while the service runs; the first time after one interval. What it finds is sealed as `audit.verified` ([keys.md](keys.md#verification-beside-the-service)). `0`: never',
    unit: 'minutes',
    example: '1440',
  }),
})

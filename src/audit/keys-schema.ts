/** The settings of what a trail is signed with, who is to have seen it, and of the verification that runs beside it. */

import { z } from 'zod'
import { parseWitnessKey } from '../chain/cosignature.ts'
import { parseVerifierKey } from '../chain/note.ts'
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
  signer: noted(
    z
      .strictObject({
        module: text,
        verifierKey: text.superRefine((key, context) => {
          const verifier = parseVerifierKey(key)
          if ('problem' in verifier) context.addIssue({ code: 'custom', message: verifier.reason })
        }),
        options: z.record(z.string(), z.unknown()).optional(),
      })
      .optional(),
    {
      about:
        'a signer outside of the process, by module: `{"module", "verifierKey", "options"}` ([keys.md](keys.md#a-signer-outside-of-the-process)); instead of `keys.signingKey` and `keys.signingKeyFile`, and not with `outbox.url`',
      otherwise: 'none',
      example:
        '{"module":"./kms-signer.js","verifierKey":"prod+a84e15fb+AZOxWB9yUJa7M6lXeF4vfGOpMGJ0nT/9iRwbEYh9jlej"}',
    },
  ),
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

const address = z.string().regex(/^https?:\/\/\S+$/i, 'a URL that begins with https:// or http://')

/** Where checkpoints are put, outside of the trail. */
export const anchorsSchema = z.strictObject({
  directory: noted(text.optional(), {
    about:
      'folder that the newest checkpoint is written to (`STREAM-SIZE.checkpoint`), out of the reach of whoever can change the spool ([keys.md](keys.md#anchors-by-the-service))',
    otherwise: 'none',
    example: '/mnt/worm/audit-anchors',
  }),
  git: noted(z.boolean().default(false), {
    about: '`true` commits it to the Git repository that `anchors.directory` lies in; pushing it is yours',
    example: 'false',
  }),
  tsa: noted(address.optional(), {
    about: 'authority that is asked for a timestamp (RFC 3161) of it, which is sealed in the trail',
    otherwise: 'none',
    example: 'https://tsa.example.com',
  }),
  url: noted(address.optional(), {
    about: 'server that keeps files, to which it is sent: `PUT URL/STREAM-SIZE.checkpoint`',
    otherwise: 'none',
    example: 'https://anchors.example.com/billing',
    isSecret: true, // an address that takes files often holds what allows it
  }),
  intervalMinutes: noted(z.number().min(0).max(intervalMinutesMax).default(1_440), {
    about:
      'how often, the first time a minute after the start; what was done is sealed as `audit.anchored`. `0`: never',
    unit: 'minutes',
    example: '1440',
  }),
})

export const verifySchema = z.strictObject({
  intervalMinutes: noted(z.number().min(0).max(intervalMinutesMax).default(1_440), {
    about:
      'how often a thread verifies the spool while the service runs; the first time after one interval. What it finds is sealed as `audit.verified` ([keys.md](keys.md#verification-beside-the-service)). `0`: never',
    unit: 'minutes',
    example: '1440',
  }),
})

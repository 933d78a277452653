/**
 * The events of the daemon, all of them: what each one means and which facts it may hold. Facts only, so that a
 * compliance reviewer can read this file as the list of what is logged; no field is for a text that somebody wrote.
 */

import { defineActions, type EventOf } from 'otel-audit'
import { z } from 'zod'

const digest = z.string().regex(/^[0-9a-f]{64}$/, 'SHA-256, 64 hex digits')
const cycleId = z.uuid()
const bytes = z.int().nonnegative()
const byDaemon = { actor: { type: 'system', id: 'watchd' } } as const

export const actions = defineActions(
  {
    'daemon.start': {
      version: 1,
      description: 'The daemon started.',
      operation: 'other',
      defaults: byDaemon,
      details: z.strictObject({ version: z.string(), settings_digest: digest }),
    },
    'daemon.stop': {
      version: 1,
      description: 'The daemon was asked to stop, and has finished what it was doing.',
      operation: 'other',
      defaults: byDaemon,
      details: z.strictObject({ signal: z.string(), cycles: z.int() }),
    },
    'daemon.panic': {
      version: 1,
      description: 'The daemon ended by an error that nobody caught. The digest tells equal crashes from others.',
      operation: 'other',
      defaults: byDaemon,
      details: z.strictObject({ stack_digest: digest }),
    },
    'config.reload': {
      version: 1,
      description: 'The settings were read again.',
      operation: 'update',
      defaults: byDaemon,
      details: z.strictObject({
        path: z.string(),
        source: z.enum(['file', 'SIGHUP', 'env']),
        changed_fields: z.array(z.string()),
        applied: z.array(z.string()),
        restart_required: z.array(z.string()),
      }),
    },
    'ai.call': {
      version: 1,
      description: 'A model was asked about an observation. hit: answered from the cache; nothing left the machine.',
      operation: 'execute',
      details: z.strictObject({
        cycle_id: cycleId,
        provider: z.string(),
        model: z.string(),
        result: z.enum(['hit', 'miss', 'error']),
        prompt_bytes: bytes,
        response_bytes: bytes.optional(),
        input_tokens: z.int().optional(),
        output_tokens: z.int().optional(),
        /** A list, because a key named `pid` or `jwt` would itself be hidden. */
        redactions: z.array(z.strictObject({ rule: z.string(), count: z.int() })),
      }),
    },
    'finding.emit': {
      version: 1,
      description: 'A finding of severity WARNING or CRITICAL was sent to its sink.',
      operation: 'create',
      details: z.strictObject({
        cycle_id: cycleId,
        rule: z.string(),
        severity: z.enum(['WARNING', 'CRITICAL']),
        sink: z.string(),
        payload_digest: digest,
      }),
    },
    'auth.failure': {
      version: 1,
      description: 'Somebody asked an endpoint of the daemon without the right bearer token.',
      operation: 'access',
      defaults: { actor: { type: 'anonymous' }, outcome: 'denied' },
      details: z.strictObject({
        endpoint: z.string(),
        reason: z.enum(['missing', 'malformed', 'wrong_token']),
        remote_address: z.string(),
      }),
    },
    'bpf.load': {
      version: 1,
      description: 'An eBPF program was loaded into the kernel, or was refused.',
      operation: 'execute',
      defaults: byDaemon,
      details: z.strictObject({ program: z.string(), success: z.boolean() }),
    },
  },
  { closed: true },
)

export type DaemonAction = keyof (typeof actions)['actions']
export type DaemonEvent<Action extends DaemonAction> = EventOf<typeof actions, Action>

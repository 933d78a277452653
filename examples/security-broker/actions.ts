/**
 * What the broker records: the catalogue of its actions. It serves whoever emits and whoever reads: release 2 has given
 * `proxy.execute` another shape, and a consumer of today reads what release 1 has recorded by the step in `upcast`.
 */

import { defineActions } from 'otel-audit'
import { z } from 'zod'

const lasting = {
  'session.create': { version: 1, description: 'Somebody has signed in.', operation: 'create' },
  'grant.issue': { version: 1, description: 'A session may use a resource, or was refused it.', operation: 'grant' },
  'grant.revoke': { version: 1, description: 'A grant counts no more.', operation: 'revoke' },
} as const

const proxy = { description: 'A command was carried out through a grant, or refused.', operation: 'execute' } as const

export const actions = defineActions({
  ...lasting,
  'proxy.execute': {
    ...proxy,
    version: 2,
    details: z.object({ command: z.string(), arguments: z.array(z.string()) }),
    upcast: {
      1: ({ details = {}, ...record }) => {
        const [command = '', ...rest] = String(details.line ?? '').split(' ')
        return { ...record, details: { command, arguments: rest } }
      },
    },
  },
})

/** As release 1 had it. */
export const actionsOfRelease1 = defineActions({
  ...lasting,
  'proxy.execute': { ...proxy, version: 1, details: z.object({ line: z.string() }) },
})

/**
 * A coding job in a process of its own, as Kubernetes would start it: it goes on in the piece of work that its
 * environment names. Asks the model for a patch and prints it, as JSON, for whoever started it.
 */

import { auditModelCall, CallCoverage, createAuditFromEnv, digestOf } from 'otel-audit'
import { createClients } from './clients.ts'

const audit = createAuditFromEnv({ policy: { level: 'all' } })
const { JOB_ORIGIN = '', JOB_ISSUE = '', JOB_PROMPT = '' } = process.env
const { copilot } = createClients(audit, JOB_ORIGIN, new CallCoverage())
const target = { resource_type: 'issue', id: JOB_ISSUE }

audit.emit({ action: 'coding.started', operation: 'execute', target, details: { where: 'job' } })
const answer = await auditModelCall(
  audit,
  {
    actions: { request: 'copilot.sdk.coding_request', response: 'copilot.sdk.response_received' },
    provider: 'example',
    model: 'small-1',
    prompt: JOB_PROMPT,
    measure: ({ text, usage }) => ({ text, tokens: usage }),
  },
  () => copilot.ask(JOB_PROMPT),
)
const patch = answer.text
const details = { patch_digest: digestOf(patch), patch_bytes: patch.length }
audit.emit({ action: 'patch.generated', operation: 'create', target, outcome: 'success', details })
const isPatch = patch.startsWith('--- a/')
audit.emit({
  action: 'patch.validated',
  operation: 'execute',
  target,
  outcome: isPatch ? 'success' : 'failure',
  details,
})
await audit.close()
process.stdout.write(`${JSON.stringify({ patch })}\n`)

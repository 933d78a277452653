/** What a configuration has that somebody should know: said once in a process, at start or when a reload brings it. */

import type { AuditConfig } from './config.ts'
import { notice } from './notice.ts'

export function sayConfig({ remarks, policy, redact, isKeyDefault }: AuditConfig): void {
  for (const remark of remarks) notice(remark)
  if (!policy.enabled) notice('policy.enabled is false: no event is recorded')
  else if (!policy.levelGiven)
    notice(`policy.level is ${policy.level} (the default): reads are recorded only if denied`)
  if (redact.preset === 'off') notice('redact.preset is off: secrets in events are recorded as they come')
  if (isKeyDefault) notice('keys.signingKeyFile is not set: the key lies in the spool directory, beside what it signs')
}

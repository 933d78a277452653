/** Audit trails for tests: opened in a fresh folder, closed and removed after the test, read back as records. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Audit, type AuditOptions, createAudit } from '../../src/index.ts'
import { diskFiles } from '../../src/spool/files.ts'
import { viewSpool } from '../../src/spool/view.ts'

export type RecordJson = Record<string, unknown> & {
  action: string
  event_type: string
  seq: number
  details?: Record<string, unknown>
}

const opened = new Map<string, Audit[]>()

/** A folder that is removed after the test, once the trails in it are closed. */
export function freshFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'otel-audit-test-'))
  opened.set(folder, [])
  t.after(async () => {
    await Promise.all((opened.get(folder) ?? []).map((audit) => audit.close()))
    rmSync(folder, { recursive: true, force: true })
  })
  return folder
}

/** Opens a trail at level `all` that the test need not close. */
export function openAudit(folder: string, options: AuditOptions = {}): Audit {
  const audit = createAudit({
    service: 'billing',
    spool: { directory: join(folder, 'spool') },
    policy: { level: 'all' },
    closeTimeoutMs: 200,
    ...options,
  })
  opened.get(folder)?.push(audit)
  return audit
}

/** Every durable record of the spool, as JSON. */
export function recordsIn(folder: string): RecordJson[] {
  const view = viewSpool(diskFiles, join(folder, 'spool'))
  return [...view.records()].map((record) => JSON.parse(record.bytes.toString()) as RecordJson)
}

/** The application's records only. */
export function eventsIn(folder: string): RecordJson[] {
  return recordsIn(folder).filter((record) => record.event_type === 'audit')
}

/** Where everything lies that the demo leaves behind. */

import { join } from 'node:path'

export interface Places {
  readonly dir: string
  /** The service's spool: the first and authoritative copy. */
  readonly spool: string
  /** The copies that the file destination and the collector wrote. */
  readonly file: string
  readonly collector: string
  /** The signing key, and the public half that verification takes. */
  readonly key: string
  readonly verifierKey: string
  /** The copy with one forged byte. */
  readonly forged: string
  readonly summary: string
  /** What the service said on standard error. */
  readonly log: string
}

export function placesIn(dir: string): Places {
  return {
    dir,
    spool: join(dir, 'spool'),
    file: join(dir, 'audit.ndjson'),
    collector: join(dir, 'collector.jsonl'),
    key: join(dir, 'audit.key'),
    verifierKey: join(dir, 'vkey'),
    forged: join(dir, 'forged.ndjson'),
    summary: join(dir, 'summary.json'),
    log: join(dir, 'service.log'),
  }
}

/**
 * Loads the daemon's eBPF programs. No kernel is touched here: a program counts as loaded when its object file is one.
 * The errors are what matters; like those of a real loader they name processes, files and hosts, and the log has them
 * only as redaction leaves them.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { join, parse } from 'node:path'
import type { CataloguedAudit } from 'otel-audit'
import type { actions } from './actions.ts'

const elfMagic = Buffer.from('\u007fELF', 'latin1')

/** Loads every `*.o` of a folder; each attempt is one `bpf.load`. */
export function loadPrograms(audit: CataloguedAudit<typeof actions>, folder: string): void {
  const files = readdirSync(folder).filter((name) => name.endsWith('.o'))
  for (const file of files.sort()) {
    const error = load(join(folder, file))
    const success = error === undefined
    audit.emit({
      action: 'bpf.load',
      outcome: success ? 'success' : 'failure',
      ...(error !== undefined && { error: { class: 'validation', message: error } }),
      details: { program: parse(file).name, success },
    })
  }
}

function load(path: string): string | undefined {
  const isElf = readFileSync(path).subarray(0, elfMagic.length).equals(elfMagic)
  return isElf ? undefined : `libbpf: pid=${process.pid}: ${path} is no ELF object (reported to 10.20.30.40:9000)`
}

/**
 * The table of commands. Names and summaries stand here, so that `--help` lists them without loading any;
 * a test holds them against the commands themselves.
 */

import type { Command, CommandGroup } from './command.ts'

export interface CommandRow {
  /** First word of the command. */
  readonly name: string
  readonly summary: string
  load(): Promise<{ readonly command: Command | CommandGroup }>
}

export const commands: readonly CommandRow[] = [
  { name: 'verify', summary: 'verify copies of a trail, offline', load: () => import('./verify.ts') },
  {
    name: 'proof',
    summary: 'prove that one record stands in a trail, and check such a proof: create, check',
    load: () => import('./proof.ts'),
  },
  {
    name: 'query',
    summary: 'search a trail by actor, action, target, trace, time and more',
    load: () => import('./query.ts'),
  },
  {
    name: 'spool',
    summary: 'look into a spool, export its records, repair it: status, check, export, repair, destination',
    load: () => import('./spool.ts'),
  },
  {
    name: 'forward',
    summary: 'deliver the records of a spool from a process of its own: a sidecar',
    load: () => import('./forward.ts'),
  },
  {
    name: 'quarantine',
    summary: 'records that a destination refused: list, show, retry, discard',
    load: () => import('./quarantine.ts'),
  },
  {
    name: 'evidence',
    summary: 'make a bundle for an auditor: records, proofs, keys and how to check them without us',
    load: () => import('./evidence.ts'),
  },
  {
    name: 'reconcile',
    summary: 'compare copies of a trail: what one has that another lacks or holds otherwise; --resend sends it again',
    load: () => import('./reconcile.ts'),
  },
  {
    name: 'archive',
    summary: 'copy a trail into an archive of tiles, and verify what was written',
    load: () => import('./archive.ts'),
  },
  {
    name: 'retain',
    summary: 'remove what is past its retention from a database: run, status',
    load: () => import('./retain.ts'),
  },
  {
    name: 'restore',
    summary: 'put archived records back into a database for a time',
    load: () => import('./restore.ts'),
  },
  {
    name: 'hold',
    summary: 'keep records from being removed: add, list, release',
    load: () => import('./hold.ts'),
  },
  {
    name: 'erase',
    summary: 'erase the personal values of somebody, and say so in the trail',
    load: () => import('./erase.ts'),
  },
  {
    name: 'migrate',
    summary: 'create or update the schema of a PostgreSQL database',
    load: () => import('./migrate.ts'),
  },
  {
    name: 'trigger',
    summary: 'print SQL that records the changes of a table as audit events',
    load: () => import('./trigger.ts'),
  },
  {
    name: 'doctor',
    summary: "name what loses records in a collector's configuration, or what guards a database no more",
    load: () => import('./doctor.ts'),
  },
  { name: 'policy', summary: 'try a policy on past records: test', load: () => import('./policy.ts') },
  {
    name: 'pseudonym',
    summary: 'find whose pseudonym it is, with the key: lookup',
    load: () => import('./pseudonym.ts'),
  },
  {
    name: 'key',
    summary: 'make a signing key, rotate it, print its public half: new, public, rotate, list',
    load: () => import('./key.ts'),
  },
  {
    name: 'anchor',
    summary: 'keep the newest checkpoints of a trail outside of it: file, timestamp, server, Git',
    load: () => import('./anchor.ts'),
  },
  {
    name: 'witness',
    summary: 'cosign the checkpoints of trails, never two histories of one',
    load: () => import('./witness.ts'),
  },
  {
    name: 'schema',
    summary: 'print what stands in every record, for those who review the trail',
    load: () => import('./schema.ts'),
  },
  {
    name: 'config',
    summary: 'check a configuration, or print what is in force and where it came from',
    load: () => import('./config.ts'),
  },
]

/**
 * A run of the writer below strace, and its log as the calls that changed files, in the order of the machine: what
 * was written where, what was synced, renamed and removed, and what the writer said meanwhile. With `inject` the
 * kernel answers some of them as told (`strace -e inject=`); calls are counted for each thread on its own.
 */

import { existsSync, readFileSync } from 'node:fs'
import type { Lab } from './lab.ts'
import { Subject } from './subject.ts'
import type { WriterOrder } from './writer.ts'

export interface DiskCall {
  readonly kind: 'write' | 'sync' | 'sync-directory' | 'rename' | 'unlink' | 'truncate'
  /** Lines of the log: a call that other threads overtook ends later than it began. */
  readonly began: number
  readonly ended: number
  /** Without the error's name, it succeeded. */
  readonly error?: string
  readonly path: string
  /** Of a rename. */
  readonly to?: string
  /** Of a write. Without an offset it appends. */
  readonly bytes?: Buffer
  readonly offset?: number
  /** Of a write to standard output. */
  readonly isSaid?: boolean
}

export interface RecordedRun {
  readonly subject: Subject
  /** Reads the log as far as it goes. */
  calls(): DiskCall[]
}

const kinds: Readonly<Record<string, DiskCall['kind']>> = {
  write: 'write',
  pwrite64: 'write',
  fdatasync: 'sync',
  fsync: 'sync-directory',
  rename: 'rename',
  unlink: 'unlink',
  ftruncate: 'truncate',
}

export interface RecordOptions {
  /** `fdatasync:error=EIO:when=3`, … */
  readonly inject?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Calls to log; all that change files by default. Fewer cost the writer less. */
  readonly only?: readonly string[]
}

/** Starts the writer below strace. */
export function recordRun(lab: Lab, order: WriterOrder, options: RecordOptions = {}): RecordedRun {
  const log = lab.path(`strace-${order.run}.log`)
  const trace = (options.only ?? Object.keys(kinds)).join(',')
  const injections = (options.inject ?? []).flatMap((one) => ['-e', `inject=${one}`])
  const below = [
    'strace',
    '-f',
    '--seccomp-bpf',
    '-qq',
    '-y',
    '-xx',
    '-s',
    '2000000',
    '-o',
    log,
    '-e',
    `trace=${trace}`,
  ]
  const subject = new Subject(lab, order, {
    below: [...below, ...injections],
    ...(options.env && { env: options.env }),
  })
  return { subject, calls: () => (existsSync(log) ? parseLog(readFileSync(log, 'latin1')) : []) }
}

/** The calls of a log, by the line on which they began. */
export function parseLog(log: string): DiskCall[] {
  const calls: DiskCall[] = []
  const unfinished = new Map<string, { began: number; text: string }>()
  log.split('\n').forEach((line, at) => {
    const thread = /^(\d+) +(.*)$/.exec(line)
    if (thread === null) return
    const [, id = '', rest = ''] = thread
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest)
    const begun = resumed === null ? undefined : unfinished.get(id)
    if (resumed !== null) unfinished.delete(id)
    if (rest.endsWith('<unfinished ...>'))
      unfinished.set(id, { began: at, text: rest.slice(0, -'<unfinished ...>'.length) })
    else if (resumed === null) pushCall(calls, rest, { began: at, ended: at })
    else if (begun !== undefined) pushCall(calls, begun.text + (resumed[1] ?? ''), { began: begun.began, ended: at })
  })
  // Killed meanwhile: they may have happened.
  for (const { began, text } of unfinished.values())
    pushCall(calls, `${text}) = ?`, { began, ended: Number.POSITIVE_INFINITY })
  return calls.toSorted((one, other) => one.began - other.began)
}

function pushCall(calls: DiskCall[], text: string, when: { began: number; ended: number }): void {
  const parsed = /^(\w+)\((.*)\)\s+= (-?\d+|\?)(?: (E\w+))?/s.exec(text)
  const kind = kinds[parsed?.[1] ?? '']
  if (parsed === null || kind === undefined) return
  const [, , , result = '', error] = parsed
  const argv = parsed[2]?.trimEnd() ?? ''
  const file = /^(\d+)<([^>]*)>/.exec(argv)
  const strings = [...argv.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, hex = '']) => fromHex(hex))
  const isSaid = file?.[1] === '1'
  const path = file === null ? String(strings[0] ?? '') : fromHex(file[2] ?? '').toString()
  const failed = error !== undefined ? { error } : {}
  const call = { kind, ...when, path, ...failed }
  if (kind === 'rename') calls.push({ ...call, to: String(strings[1] ?? '') })
  else if (kind === 'write') {
    const offset = parsed[1] === 'pwrite64' ? { offset: Number(/, (\d+)$/.exec(argv)?.[1] ?? 0) } : {}
    const count = Number(result)
    const bytes = strings[0] ?? Buffer.alloc(0)
    calls.push({ ...call, bytes: count >= 0 ? bytes.subarray(0, count) : bytes, ...offset, isSaid })
  } else if (kind === 'truncate') calls.push({ ...call, offset: Number(/, (\d+)$/.exec(argv)?.[1] ?? 0) })
  else calls.push(call)
}

function fromHex(text: string): Buffer {
  return Buffer.from(text.replaceAll('\\x', ''), 'hex')
}

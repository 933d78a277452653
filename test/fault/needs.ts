/** What a fault test needs of the machine. What is missing is named, and the test is skipped with that reason. */

import { spawnSync } from 'node:child_process'
import { existsSync, globSync } from 'node:fs'
import { clickhouseAbsent, clickhousePython } from '../parts/clickhouse.ts'
import { collectorAbsent, collectorBinary, kafkaCollectorAbsent } from '../parts/collector.ts'
import { kafkaAbsent, kafkaJars } from '../parts/kafka.ts'

export type Need =
  | 'linux'
  | 'root'
  | 'strace'
  | 'loop'
  | 'xfs'
  | 'nbd'
  | 'eatmydata'
  | 'faketime'
  | 'namespaces'
  | 'collector'
  | 'collector-kafka'
  | 'kafka'
  | 'clickhouse'

const root = () => (process.getuid?.() === 0 ? undefined : 'it must be run by root')

const checks: Readonly<Record<Need, () => string | undefined>> = {
  linux: () => (process.platform === 'linux' ? undefined : 'it needs Linux'),
  root,
  strace: () => missing('strace') ?? cannotTrace(),
  loop: () => root() ?? missing('losetup', 'mkfs.ext4') ?? absent('/dev/loop-control'),
  xfs: () => missing('mkfs.xfs'),
  nbd: () => missing('nbdkit', 'nbdfuse') ?? absent('/dev/fuse'),
  eatmydata: () => (preloadLibrary('libeatmydata.so*') === undefined ? 'eatmydata is not installed' : undefined),
  faketime: () =>
    preloadLibrary('faketime/libfaketimeMT.so*') === undefined ? 'faketime is not installed' : undefined,
  collector: () => (collectorBinary() === undefined ? collectorAbsent : undefined),
  'collector-kafka': () => (collectorBinary('kafka') === undefined ? kafkaCollectorAbsent : undefined),
  kafka: () => (kafkaJars() === undefined ? kafkaAbsent : missing('java')),
  clickhouse: () => (clickhousePython() === undefined ? clickhouseAbsent : undefined),
  namespaces: () => root() ?? missing('unshare') ?? cannotUnshare(),
}

/** The first need that this machine does not meet, in words; `undefined` when it meets all. */
export function unmetNeed(needs: readonly Need[]): string | undefined {
  for (const need of needs) {
    const reason = checks[need]()
    if (reason !== undefined) return reason
  }
  return undefined
}

/** Path of a library to be preloaded, where Debian and others put them. */
export function preloadLibrary(pattern: string): string | undefined {
  return globSync(`/usr/lib{,64}{,/*-linux-gnu}/${pattern}`)[0]
}

function missing(...commands: readonly string[]): string | undefined {
  const found = (command: string) =>
    spawnSync('sh', ['-c', `PATH="$PATH:/usr/sbin:/sbin"; command -v ${command}`]).status === 0
  const absentOnes = commands.filter((command) => !found(command))
  return absentOnes.length === 0 ? undefined : `${absentOnes.join(' and ')} is not installed`
}

function absent(path: string): string | undefined {
  return existsSync(path) ? undefined : `there is no ${path}`
}

/** Containers often forbid ptrace. */
function cannotTrace(): string | undefined {
  const run = spawnSync('strace', ['-f', '--seccomp-bpf', '-e', 'trace=fsync', '-o', '/dev/null', 'true'])
  return run.status === 0 ? undefined : 'strace may not trace here'
}

function cannotUnshare(): string | undefined {
  return spawnSync('unshare', ['--mount', '--pid', '--fork', 'true']).status === 0
    ? undefined
    : 'no new namespaces here'
}

/**
 * What the daemon sees: made-up observations as a kernel probe reports them, full of what must not reach a log:
 * process ids, addresses, paths, a person's name. Observation N is always the same.
 */

export interface Observation {
  readonly rule: string
  readonly text: string
}

const kinds: readonly ((index: number) => Observation)[] = [
  (index) => ({
    rule: 'outbound-connection',
    text: `pid=${1000 + index} of /usr/bin/curl-${index} connected to 203.0.113.${1 + (index % 250)}:443`,
  }),
  (index) => ({
    rule: 'scheduled-job',
    text: `pid: ${2000 + index} wrote /etc/cron.d/job-${index} in a session of ann${index}@example.com`,
  }),
  (index) => ({
    rule: 'kernel-module',
    text: `pid=${3000 + index} loaded /lib/modules/rootkit-${index}.ko for [2001:db8::${(index % 9999) + 1}]:22`,
  }),
  (index) => ({
    rule: 'unreadable-trace',
    text: `pid=${4000 + index} traced /opt/payroll/run-${index}, reported by 10.0.${index % 250}.7:9000`,
  }),
]

export function observe(index: number): Observation {
  const kind = kinds[index % kinds.length]
  if (kind === undefined) throw new RangeError(`no observation ${index}`)
  return kind(index)
}

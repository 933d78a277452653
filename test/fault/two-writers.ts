/** Row 13: one writer a directory, whoever else tries and whatever happens to the lock file. */

import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import type { FaultTest } from './fault.ts'
import { orderFor } from './kill.ts'
import type { Lab } from './lab.ts'
import { Subject } from './subject.ts'
import * as trail from './trail.ts'

/** A second writer on the directory must be refused by name. */
async function expectRefusal(lab: Lab, what: string, below?: readonly string[]): Promise<void> {
  const second = new Subject(
    lab,
    { ...orderFor(lab, 'spool', 'second'), count: 1 },
    below === undefined ? {} : { below },
  )
  const { code } = await second.ended
  assert.equal(code, 1, `${what}: a second writer was let in`)
  assert.equal(second.written.length, 0)
  assert.match(second.complaints, /SPOOL_LOCKED/, what)
}

const twoWriters: FaultTest = {
  name: 'two-writers',
  row: '13',
  promise:
    'A second writer is refused, also while the first is stopped and from other namespaces; a replaced lock file ends the first.',
  needs: ['linux', 'namespaces'],
  limitSeconds: { short: 120, long: 300 },
  async run(lab) {
    const first = new Subject(lab, { ...orderFor(lab, 'spool', 'first'), paceMs: 20, burst: 5 })
    await first.until(({ durable }) => durable.length > 0)
    await expectRefusal(lab, 'beside a living writer')
    first.signal('SIGSTOP')
    await expectRefusal(lab, 'beside a stopped writer')
    first.signal('SIGCONT')
    await expectRefusal(lab, 'from other namespaces', ['unshare', '--mount', '--pid', '--fork', '--mount-proc'])
    const { length } = first.written
    await first.until(({ written }) => written.length > length + 10)
    rmSync(lab.path('spool/lock'))
    writeFileSync(lab.path('spool/lock'), '')
    await first.until(({ states }) => states.includes('failed'))
    assert.equal(first.states.at(-1), 'failed', 'the holder notices that its lock is gone')
    const acknowledged = first.durable.length
    const { length: refused } = first.emergencies
    await first.until(({ emergencies }) => emergencies.length > refused + 20)
    assert.equal(first.durable.length, acknowledged, 'and acknowledges nothing any more')
    const second = new Subject(lab, { ...orderFor(lab, 'spool', 'third'), count: 20 })
    assert.equal((await second.ended).code, 0, second.complaints)
    await first.kill()
    const records = trail.readSpool(lab.path('spool'))
    trail.checkChain(records)
    trail.checkAcknowledged([...first.durable, ...second.written], records)
    return {
      injected: { 'second writers': 4, 'replaced lock files': 1 },
      survived: { refusals: 3, 'records acknowledged as durable': acknowledged + second.durable.length },
    }
  },
}

export const twoWriterTests: readonly FaultTest[] = [twoWriters]

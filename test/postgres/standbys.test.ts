/** Which standbys must hold a record, judged from what a server says; the servers themselves: `standby.test.ts`. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Queryable } from '../../src/postgres/client.ts'
import { countDemanded, type StandbyLook, Standbys } from '../../src/postgres/standbys.ts'

type Standby = StandbyLook['standbys'][number]

/** A server that says this, again and again. */
function serverWith(standbys: readonly Standby[], { names = '', timeline = '00000001' } = {}): Queryable {
  const look: StandbyLook = { names, timeline, place: '0/100', standbys }
  return { query: <Row extends object>() => Promise.resolve({ rows: [look as unknown as Row] }) }
}

const connected: Standby = {
  name: 's1',
  isConnected: true,
  isShown: true,
  isKnown: true,
  isSynchronous: false,
  holds: true,
}
const behind: Standby = { ...connected, name: 's2', holds: false }
const away: Standby = { ...behind, name: 's3', isConnected: false }
const hidden: Standby = { ...behind, isShown: false, isKnown: false }
const synchronous: Standby = { ...connected, isSynchronous: true }

const held = (standbys: Standbys, client: Queryable) => standbys.awaitHeld(client, 0)

describe('what standbys must hold', () => {
  it('is nothing on a server without any, unless a number is given', async () => {
    assert.equal(await held(new Standbys(undefined), serverWith([])), undefined)
    assert.equal(await held(new Standbys(0), serverWith([behind, away])), undefined)
    assert.match((await held(new Standbys(1), serverWith([]))) ?? '', /^0 of 1 standby holds what was committed: start/)
    assert.match(
      (await held(new Standbys(2), serverWith([connected, behind]))) ?? '',
      /^1 of 2 standbys hold .* \(s1 holds it, s2 is behind\)/,
    )
  })

  it('is held by one of those that are there, or have a slot', async () => {
    assert.equal(await held(new Standbys(undefined), serverWith([connected, behind, away])), undefined)
    assert.match((await held(new Standbys(undefined), serverWith([behind, away]))) ?? '', /s2 is behind, s3 is away/)
  })

  it('is missed of one that was connected and is gone, until the server is another one', async () => {
    const standbys = new Standbys(undefined)
    assert.equal(await held(standbys, serverWith([connected])), undefined)
    assert.match((await held(standbys, serverWith([]))) ?? '', /the one that was connected is gone/)
    assert.equal(await held(standbys, serverWith([], { timeline: '00000002' })), undefined)
    assert.equal(standbys.confirmLater, false)
  })

  it('is what synchronous_standby_names demands, of those that it names', async () => {
    const demand = { names: 'ANY 1 (s1, s2)' }
    assert.equal(await held(new Standbys(undefined), serverWith([synchronous, behind], demand)), undefined)
    const asynchronousOnly = (await held(new Standbys(undefined), serverWith([connected], demand))) ?? ''
    assert.match(asynchronousOnly, /^0 of 1 standby holds .* \(synchronous_standby_names = ANY 1/)
    const two = { names: 'FIRST 2 (s1, s2)' }
    assert.match((await held(new Standbys(undefined), serverWith([synchronous], two))) ?? '', /^1 of 2 standbys/)
  })

  it('is left to the commits of the server where this user may not see its standbys, or cannot be known', async () => {
    const standbys = new Standbys(undefined)
    const demand = { names: 's2' }
    assert.deepEqual(await standbys.look(serverWith([hidden], demand)), { commitWaits: true })
    assert.equal(await held(standbys, serverWith([hidden], demand)), undefined)
    assert.deepEqual(await standbys.look(serverWith([synchronous], demand)), { commitWaits: false })
    assert.match((await held(new Standbys(undefined), serverWith([hidden]))) ?? '', /grant pg_read_all_stats/)
  })

  it('counts what a setting demands', () => {
    const settings = ['', 's1', 's1, s2', '*', 'FIRST 2 (a, b, c)', 'any 1 (a, b)', ' 3 (a, b, c)', '"2 (a"']
    assert.deepEqual(settings.map(countDemanded), [0, 1, 1, 1, 2, 1, 3, 1])
  })
})

/**
 * The design, broken on purpose: each rule of the protocol taken out by a change of the source, which the simulator
 * must notice. A mutant whose text the source no longer has fails by name: then the rule has moved, and so must this.
 */

import type { ScriptName } from './script-names.ts'

/** A text that stands exactly once in a file of `src`, and what takes its place. */
export interface Change {
  readonly file: string
  readonly from: string
  readonly to: string
}

export interface Mutant {
  /** What is broken. */
  readonly name: string
  readonly changes: readonly Change[]
  /** The scripted history that meets it; without one, random histories do. */
  readonly script?: ScriptName
}

const change = (file: string, from: string, to: string): Change => ({ file: `spool/${file}`, from, to })

export const mutants: readonly Mutant[] = [
  // Opening
  {
    name: 'no sync of the directory at opening',
    changes: [change('recover.ts', '    files.syncDirectory(own.file)\n', '')],
  },
  {
    name: 'no sync of the directory after control is renamed',
    changes: [change('control.ts', '  files.syncDirectory(directory.file)\n', '')],
  },
  {
    name: 'recovery overwrites control in place',
    changes: [
      change('control.ts', '(directory.path)}.tmp`', '(directory.path)}`'),
      change(
        'control.ts',
        "const file = files.open(temporary, 'create')",
        "const file = files.open(temporary, files.list(directory.path).includes('control') ? 'write' : 'create')",
      ),
    ],
  },
  {
    name: 'the same stream goes on after power loss',
    changes: [
      change('new-stream.ts', "if (!state.clean && (bootId === '' || bootId !== state.bootId)) return 'boot'", ''),
    ],
  },
  {
    name: 'recovery publishes before it re-appends',
    changes: [
      change('segment.ts', '    complete?.(created)\n    files.sync(file)\n', '    files.sync(file)\n'),
      change(
        'segment.ts',
        '  nameSegment(files, directory, segment)\n  return',
        '  nameSegment(files, directory, segment)\n  complete({ file, crc: headerCrc(encodeSegmentHeader(header)) })\n  return',
      ),
    ],
  },
  {
    name: 'recovery does not sync what it re-appends',
    changes: [
      change(
        'segment.ts',
        '    complete?.(created)\n    files.sync(file)\n',
        '    files.sync(file)\n    complete?.(created)\n',
      ),
    ],
  },
  {
    name: 'recovery loses what travels beside a record',
    changes: [change('tail.ts', 'attachment: Buffer.from(attachment)', 'attachment: Buffer.alloc(0)')],
  },
  {
    name: 'the published position proves nothing',
    changes: [change('recover.ts', 'return published === undefined ?', 'return true ?')],
  },
  {
    name: 'what later frames know proves nothing',
    changes: [change('tail.ts', 'scan.provenBehindCut.push(...behind.proven)', '')],
  },
  // Roll and sync
  {
    name: 'a name is given before its header is synced',
    changes: [change('segment.ts', '    complete?.(created)\n    files.sync(file)\n', '    complete?.(created)\n')],
  },
  {
    name: 'no sync of the directory at a roll',
    changes: [
      change(
        'segment.ts',
        '  files.syncDirectory(directory.file)\n}\n\n/** What a frame carries',
        '}\n\n/** What a frame carries',
      ),
    ],
  },
  {
    name: 'credit without a sync',
    changes: [change('syncer.ts', '    this.#files.sync(this.#durable.segment.file)\n', '')],
  },
  {
    name: 'credit in the next segment before the one before it is synced',
    changes: [
      change(
        'syncer.ts',
        '    this.#files.sync(this.#durable.segment.file)\n',
        '    if (end.segment === this.#durable.segment.segment) this.#files.sync(this.#durable.segment.file)\n',
      ),
    ],
  },
  {
    name: 'credit in the next segment before it is synced itself',
    changes: [change('syncer.ts', '    this.#files.sync(spare.file)\n', '')],
  },
  {
    name: 'the end is sampled after the sync',
    changes: [
      change(
        'syncer.ts',
        '    const end = this.#positions.sampleEnd()\n    this.#files.sync(this.#durable.segment.file)\n',
        '    this.#files.sync(this.#durable.segment.file)\n    const end = this.#positions.sampleEnd()\n',
      ),
    ],
  },
  {
    name: 'frames go on within the sector that was synced last',
    changes: [change('positions.ts', 'return nextSector(end.offset)', 'return end.offset')],
  },
  {
    name: 'the first frame goes on within the sector that recovery synced last',
    changes: [change('positions.ts', '    Atomics.store(this.#words, word.barrier, 1)\n', '')],
  },
  {
    name: 'a frame may end with zero',
    script: 'a frame that lacks only its padding',
    changes: [change('format.ts', 'const bodyEnd = 0xa5', 'const bodyEnd = 0x00')],
  },
  // A sync that fails
  {
    name: 'a failed sync is tried again on the same file',
    changes: [
      change(
        'syncer.ts',
        '    if (error !== undefined) this.#beginFailover(error)\n    else if (isRefused)',
        '    if (isRefused)',
      ),
    ],
  },
  {
    name: 'a rescue gets its name before it is filled',
    script: 'a rescue named while it is empty',
    changes: [
      change(
        'writer.ts',
        '      const { segment, ends } = fillRescue(',
        '      const { directory } = this.#start\n      this.#files.rename(temporaryPath(directory, rescue.segment), segmentPath(directory, rescue.segment))\n      const { segment, ends } = fillRescue(',
      ),
      change(
        'writer.ts',
        '      const { directory } = this.#start\n      // Only now: a name given earlier could hide what is written elsewhere.\n      this.#files.rename(temporaryPath(directory, rescue.segment), segmentPath(directory, rescue.segment))\n',
        '',
      ),
    ],
  },
  {
    name: 'a rescue is credited before it is synced',
    changes: [change('failover.ts', '      this.#files.sync(rescue.file)\n', '')],
  },
  {
    name: 'no sync of the directory at a failover',
    changes: [change('failover.ts', '      this.#files.syncDirectory(directory.file)\n', '')],
  },
  {
    name: 'a rescue takes nothing over',
    changes: [
      change(
        'writer.ts',
        '      if (records.length !== this.#nextSequence - rescue.nextSequence) throw',
        '      if (false) throw',
      ),
      change(
        'writer.ts',
        '    const records = this.#unsynced.records()\n',
        '    const records = this.#unsynced.records().slice(0, 0)\n',
      ),
    ],
  },
  {
    name: 'a rescue loses what travels beside a record',
    changes: [change('rescue.ts', '    frame.set(one.attachment, frameHeaderBytes + one.recordBytes)\n', '')],
  },
  {
    name: 'successors of a segment that was given up are kept',
    changes: [
      change(
        'syncer.ts',
        'const given = this.#spares.giveUp()',
        'const given = undefined as ReturnType<Spares["giveUp"]>',
      ),
    ],
  },
  {
    name: 'void segments are removed before what supersedes them is credited',
    changes: [
      change(
        'syncer.ts',
        '    this.#continueFailover(this.#failover)\n  }\n\n  #continueFailover',
        '    if (given !== undefined) this.#retention.discard([given.spare.segment])\n    this.#continueFailover(this.#failover)\n  }\n\n  #continueFailover',
      ),
    ],
  },
  {
    name: 'a segment that refused a write is written again',
    changes: [change('writer.ts', '    if (this.#refusal !== undefined) return this.#refusal\n', '')],
  },
  // Readers, cursors, reclaim
  {
    name: 'a forwarder passes the durable position',
    changes: [
      change(
        'reader.ts',
        '      const limit = this.#limit()\n',
        '      const limit = { ...this.#limit(), offset: Number.MAX_SAFE_INTEGER }\n',
      ),
      change('reader.ts', '      else throw this.#missing(open)\n', '      else return undefined\n'),
    ],
  },
  {
    name: 'a cursor is a position, not a number',
    changes: [
      change('reader.ts', 'hint.offset <= (hinted.length ?? hint.offset)', 'hint.offset > 0'),
      change('reader.ts', 'hinted.header.stream === confirmed.stream ? confirmed.sequence + 1 : 1', 'undefined'),
      change('reader.ts', 'if (!(error instanceof AuditError)) throw error', 'throw error'),
    ],
  },
  {
    name: 'a cursor confirms what was read, not what was delivered',
    changes: [
      {
        file: 'forward/spool-source.ts',
        from: '    if (last !== undefined) this.#readEnds.push(',
        to: '    if (last !== undefined) this.#confirmed = { confirmed: { stream: last.stream, sequence: last.sequence } }\n    if (last !== undefined) this.#readEnds.push(',
      },
    ],
  },
  {
    name: 'segments are removed before control says so',
    changes: [
      change(
        'retention.ts',
        '    if (count > 0 && first !== undefined && save(first.segment)) {\n',
        '    if (count > 0 && first !== undefined) {\n',
      ),
    ],
  },
  {
    name: 'what one destination has counts as what all have',
    changes: [
      change(
        'reclaim.ts',
        'for (const name of rules.destinations) {',
        'for (const name of rules.destinations.slice(0, 1)) {',
      ),
    ],
  },
  {
    name: 'a segment goes with its last record unconfirmed',
    changes: [change('reclaim.ts', 'base <= confirmed.sequence + 1', 'base <= confirmed.sequence + 2')],
  },
  {
    name: 'the spool is called clean while records are still written',
    changes: [change('durable-end.ts', '    else this.save({})\n', '    else this.save({ clean: true })\n')],
  },
  {
    name: 'a copy of the directory goes on in the same stream',
    changes: [change('new-stream.ts', "if (hasMoved(state.place, place)) return 'copied'", '')],
  },
]

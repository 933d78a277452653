/**
 * What somebody without the signing key can do to a copy of a trail, with exactly the findings that it must give; and
 * what a copy alone cannot show, with what we must say instead. The trail: 1 opened, 2–17 acts, 18 checkpoint, 19–34
 * acts, 35 checkpoint, 36–51 acts, 52 checkpoint, 53–58 acts, 59 closed, 60 checkpoint.
 */

import { canonical, leafOf, makeKeys, makeTrail, rechain, TrailWriter } from '../support/trail.ts'

export const keys = makeKeys('prod')
export const stream = '019b7c2f-1111-7000-8000-000000000001'
const otherStream = '019b7c2f-2222-7000-8000-000000000002'
export const trail: readonly string[] = makeTrail({ stream, keys, records: 54, interval: 16 }).lines

/** The words of the tamper matrix for what is done. */
export type AttackKind = (typeof attackKinds)[number]

export const attackKinds = [
  'nothing',
  'edit',
  'forged redaction',
  'delete',
  'insert',
  'reorder',
  'repeat',
  'swap streams',
  're-chain',
  'wrong key',
  'truncate',
  'delete a stream',
  'roll back',
  'fork',
  'replay a checkpoint',
  'attributes and columns',
  'prune',
  'partial copy',
] as const

/** The copies of a trail. Standard input and a compressed file hold what the NDJSON file holds. */
export type Copy = 'spool' | 'postgres' | 'ndjson' | 'ndjson.gz' | 'otlp' | 'stdin' | 'archive'

/** Spool and our own files keep the order of sealing; collectors and databases do not. */
const ordered: readonly Copy[] = ['spool', 'ndjson', 'ndjson.gz', 'stdin', 'archive']

export interface Attack {
  readonly kind: AttackKind
  readonly name: string
  /** The records that the copy holds afterwards. */
  readonly lines: readonly string[]
  /** Findings in every copy, or by whether the copy keeps an order. */
  readonly finds: readonly string[] | Readonly<Record<'ordered' | 'unordered', readonly string[]>>
  /** Verdict when there is no finding. */
  readonly verdict?: string
  readonly allowPartial?: boolean
  /** The copy alone cannot show it: the verdict is benign, and the documents say so. */
  readonly undetectable?: boolean
  /** Copies in which it gives something else. */
  readonly except?: Readonly<Partial<Record<Copy, Expected>>>
  /** What is changed beside the records; only these copies hold such a thing. */
  readonly beside?: Readonly<Partial<Record<Copy, BesideChange>>>
}

/** Of the text of a file, in an archive of the checkpoint; in a database, a statement; in a spool, records wiped out under a control file that stays. */
export type BesideChange = ((text: string) => string) | { readonly statement: string } | { readonly keeps: number }

export interface Expected {
  readonly finds: readonly string[]
  readonly verdict?: string
}

/**
 * What an archive gives where it differs: a record has one place there, and hashes of the tree stand beside the records.
 * Where records are missing, repeated or added, the tiles are not those of the records, or hold too many or too few.
 */
const inArchive: Readonly<Record<string, Expected>> = {
  'the last covered record edited': { finds: ['CONTENT_TAMPERED 59', 'PROJECTION_MISMATCH 59'] },
  'a record deleted': { finds: ['MISSING 25', 'PROJECTION_MISMATCH 59'] },
  'a checkpoint deleted': { finds: ['MISSING 35', 'PROJECTION_MISMATCH 59'] },
  'several records deleted': { finds: ['MISSING 25-27', 'PROJECTION_MISMATCH 59'] },
  'records deleted around a checkpoint': { finds: ['MISSING 33-37', 'PROJECTION_MISMATCH 59'] },
  'the first record deleted': { finds: ['MISSING 1', 'PROJECTION_MISMATCH 59'] },
  'the beginning deleted': { finds: ['MISSING 1-20', 'PROJECTION_MISMATCH 59'] },
  'a record moved to the end': { finds: ['PROJECTION_MISMATCH 59', 'REORDERED 10'] },
  'a record delivered again': { finds: ['INSERTED', 'PROJECTION_MISMATCH 1', 'PROJECTION_MISMATCH 59'] },
  'a batch delivered again': { finds: ['CONTENT_TAMPERED 50-59', 'PROJECTION_MISMATCH 1'] },
  'a record copied to the beginning': { finds: ['CONTENT_TAMPERED 59', 'PROJECTION_MISMATCH 25'] },
  'a forged record with a number and no fitting link': {
    finds: ['CONTENT_TAMPERED 59', 'INSERTED 25', 'PROJECTION_MISMATCH 1'],
  },
  'a forged record before the true one': { finds: ['CONTENT_TAMPERED 59', 'INSERTED 25', 'PROJECTION_MISMATCH 1'] },
  'a forged record that continues the stream': { finds: ['CONTENT_TAMPERED 59', 'FORKED 25', 'PROJECTION_MISMATCH 1'] },
  'a second branch': { finds: ['INSERTED', 'PROJECTION_MISMATCH 1', 'PROJECTION_MISMATCH 59'] },
  'a second branch, signed with the same key': {
    finds: ['INSERTED', 'PROJECTION_MISMATCH 1', 'PROJECTION_MISMATCH 59'],
  },
  'a record without a stream': { finds: ['CONTENT_TAMPERED 59', 'INSERTED', 'PROJECTION_MISMATCH 1'] },
  'a copy that begins later, known to be partial': { finds: ['PROJECTION_MISMATCH 59'] },
  'a partial copy edited before its first checkpoint': { finds: ['CONTENT_TAMPERED 25', 'PROJECTION_MISMATCH 59'] },
  'a partial copy edited between its checkpoints': { finds: ['CONTENT_TAMPERED 41', 'PROJECTION_MISMATCH 59'] },
  'a partial copy with one checkpoint': { finds: ['PROJECTION_MISMATCH 59', 'UNANCHORED'] },
  'the beginning deleted, and a deletion forged that nothing signed covers': {
    finds: ['MISSING 1-20', 'PROJECTION_MISMATCH 59'],
  },
  'the beginning deleted, and the trail says so under its signature': {
    finds: ['MISSING 1-20', 'PROJECTION_MISMATCH 61'],
  },
}

/** What verification must find in this copy; undefined where the attack cannot be made. */
export function expectedIn(attack: Attack, copy: Copy): Expected | undefined {
  const { finds, verdict, except, beside } = attack
  if (beside !== undefined && beside[copy] === undefined) return undefined
  const own = except?.[copy] ?? (copy === 'archive' ? inArchive[attack.name] : undefined)
  if (own !== undefined) return own
  const all = 'ordered' in finds ? finds[ordered.includes(copy) ? 'ordered' : 'unordered'] : finds
  return { finds: all, ...(verdict !== undefined && { verdict }) }
}

const line = (sequence: number): string => trail[sequence - 1] ?? ''
const without = (from: number, to = from): string[] => trail.toSpliced(from - 1, to - from + 1)
const replaced = (sequence: number, by: string): string[] => trail.with(sequence - 1, by)
const edited = (sequence: number, change: (members: Record<string, unknown>) => object): string =>
  canonical({ ...JSON.parse(line(sequence)), ...change(JSON.parse(line(sequence))) })
const otherActor = (): object => ({ actor: { id: 'mallory', type: 'user' } })
const inserted = (at: number, ...lines: string[]): string[] => trail.toSpliced(at - 1, 0, ...lines)
const moved = (from: number, to: number): string[] => without(from).toSpliced(to - 1, 0, line(from))

const fork = new TrailWriter(stream, keys)
for (const text of trail.slice(0, 40)) fork.seal(JSON.parse(text))
const forked = fork.seal({ action: 'other.act' }).act(5).lines.slice(40)
const twin = new TrailWriter(stream, keys)
for (const text of trail.slice(0, 40)) twin.seal(JSON.parse(text))
const twinned = twin.seal({ action: 'other.act' }).act(10).checkpoint().lines.slice(40)
const usurper = new TrailWriter(otherStream, keys)
  .open({ predecessor: { stream, seq: 60, hash: 'ab'.repeat(32), reason: 'boot' } })
  .act(3)
  .close().lines
const stranger = makeTrail({ stream: otherStream, keys, records: 20, interval: 8 }).lines
const successor = new TrailWriter(otherStream, keys)
  .open({ predecessor: { stream, seq: 60, hash: leafOf(line(60)), reason: 'boot' } })
  .act(3)
  .close().lines
/** What follows a branch that a destination has refused, and says what that one held. */
const ahead = (sequence: number, hash = leafOf(line(sequence))) =>
  new TrailWriter(otherStream, keys)
    .open({
      predecessor: { stream, seq: 40, hash: 'ab'.repeat(32), reason: 'ahead' },
      ahead: { destination: 'postgres', seq: sequence, hash },
    })
    .act(3)
    .close().lines
const impostor = makeKeys('prod', 2)
const resigned = makeTrail({ stream, keys: impostor, records: 54, interval: 16 }).lines
const renamed = (lines: readonly string[], name: string): string[] =>
  rechain(lines.map((text) => canonical({ ...JSON.parse(text), stream: name })))

const replaceLast = (text: string, from: string, to: string): string => {
  const at = text.lastIndexOf(from)
  return text.slice(0, at) + to + text.slice(at + from.length)
}
const blanked = (): object => ({
  details: { note: '[redacted]' },
  redactions: [{ count: 1, pointer: '/details/note', rule: 'key:note' }],
})
/** What the trail says when the file that held 1 to 20 was deleted. */
const deletion = { ranges: [{ stream, from: 1, to: 20, hash: leafOf(line(20)) }] }
const pruned = new TrailWriter(stream, keys)
for (const text of trail) pruned.seal(JSON.parse(text))
pruned.seal({ action: 'audit.file.deleted', event_type: 'audit.file.deleted', details: deletion }).checkpoint()

/** What retention does with the beginning, up to its first checkpoint. */
const removal = `delete from audit.record where seq <= 18`
const removalNoted = (hash: string): string =>
  `insert into audit.partition (stream, from_seq, to_seq, recorded_from, recorded_to, hash, sealed_at, removed_at)
   values ('${stream}', 1, 18, '2026-01-01', '2026-01-01', decode('${hash}', 'hex'), now(), now())`
const statement = { stream, from: 1, to: 18, hash: leafOf(line(18)) }
const stating = new TrailWriter(stream, keys)
for (const text of trail) stating.seal(JSON.parse(text))
const stated = stating
  .seal({ action: 'audit.pruned', event_type: 'audit.pruned', details: statement })
  .checkpoint().lines
const strangersLike = makeTrail({ stream: otherStream, keys, records: 54, interval: 16 }).lines
const noteOf = (lines: readonly string[]): string => JSON.parse(lines.at(-1) ?? '').details.note

function appended(members: Record<string, unknown>): string[] {
  const writer = new TrailWriter(stream, keys)
  for (const text of trail) writer.seal(JSON.parse(text))
  return writer.seal(members).lines
}

function appendedCheckpoint(): string[] {
  const writer = new TrailWriter(stream, keys)
  for (const text of trail) writer.seal(JSON.parse(text))
  return writer.checkpoint(impostor).lines
}

/** A table has no room for the same row again: what is filed under another time has a wrong column. */
function refiled(...sequences: number[]): Expected {
  return { finds: sequences.map((sequence) => `PROJECTION_MISMATCH ${sequence}`) }
}

export const attacks: readonly Attack[] = [
  { kind: 'nothing', name: 'nothing', lines: trail, finds: [], verdict: 'INTACT' },
  {
    kind: 'edit',
    name: 'a record edited',
    lines: replaced(25, edited(25, otherActor)),
    finds: ['CONTENT_TAMPERED 25'],
  },
  {
    kind: 'edit',
    name: 'the first record edited',
    lines: replaced(1, edited(1, otherActor)),
    finds: ['CONTENT_TAMPERED 1'],
  },
  {
    kind: 'edit',
    name: 'a checkpoint record edited',
    lines: replaced(
      35,
      edited(35, () => ({ reason: 'x' })),
    ),
    finds: ['CONTENT_TAMPERED 35'],
  },
  {
    kind: 'edit',
    name: 'the last covered record edited',
    lines: replaced(59, edited(59, otherActor)),
    finds: ['CONTENT_TAMPERED 59'],
  },
  {
    kind: 'edit',
    name: 'a link edited',
    lines: replaced(
      25,
      edited(25, () => ({ prev: 'ab'.repeat(32) })),
    ),
    finds: ['CONTENT_TAMPERED 25'],
  },
  {
    kind: 'edit',
    name: 'a link taken away',
    lines: replaced(
      25,
      edited(25, () => ({ prev: undefined })),
    ),
    finds: ['CONTENT_TAMPERED 25'],
  },
  {
    kind: 'edit',
    name: 'the link of the uncovered checkpoint edited',
    lines: replaced(
      60,
      edited(60, () => ({ prev: 'ab'.repeat(32) })),
    ),
    finds: ['LINK_BROKEN 60'],
  },
  {
    kind: 'edit',
    name: 'two neighbours edited',
    lines: replaced(25, edited(25, otherActor)).with(25, edited(26, otherActor)),
    finds: ['CONTENT_TAMPERED 25', 'CONTENT_TAMPERED 26'],
  },
  {
    kind: 'edit',
    name: 'a record edited and the next one linked to it',
    lines: replaced(25, edited(25, otherActor)).with(
      25,
      edited(26, () => ({ prev: leafOf(edited(25, otherActor)) })),
    ),
    finds: ['CONTENT_TAMPERED 26', 'CONTENT_TAMPERED 18-34'],
  },
  { kind: 'delete', name: 'a record deleted', lines: without(25), finds: ['MISSING 25'] },
  { kind: 'delete', name: 'a checkpoint deleted', lines: without(35), finds: ['MISSING 35'] },
  { kind: 'delete', name: 'several records deleted', lines: without(25, 27), finds: ['MISSING 25-27'] },
  { kind: 'delete', name: 'records deleted around a checkpoint', lines: without(33, 37), finds: ['MISSING 33-37'] },
  { kind: 'delete', name: 'the first record deleted', lines: without(1), finds: ['MISSING 1'] },
  { kind: 'delete', name: 'the beginning deleted', lines: without(1, 20), finds: ['MISSING 1-20'] },
  { kind: 'delete', name: 'the last covered record deleted', lines: without(59), finds: ['MISSING 59'] },
  {
    kind: 'reorder',
    name: 'two records swapped',
    lines: trail.with(24, line(26)).with(25, line(25)),
    finds: { ordered: ['REORDERED 25'], unordered: [] },
    verdict: 'INTACT',
  },
  {
    kind: 'reorder',
    name: 'a record moved to the end',
    lines: moved(10, 60),
    finds: { ordered: ['REORDERED 10'], unordered: [] },
    verdict: 'INTACT',
  },
  {
    kind: 'reorder',
    name: 'a record moved to the beginning',
    lines: moved(50, 1),
    finds: { ordered: ['REORDERED 50'], unordered: [] },
    verdict: 'INTACT',
  },
  {
    kind: 'repeat',
    name: 'a record delivered again',
    lines: [...trail, line(25)],
    finds: [],
    verdict: 'DUPLICATE_DELIVERY',
    except: { postgres: refiled(25) },
  },
  {
    kind: 'repeat',
    name: 'a batch delivered again',
    lines: [...trail.slice(0, 40), ...trail.slice(30, 40), ...trail.slice(40)],
    finds: [],
    verdict: 'DUPLICATE_DELIVERY',
    except: { postgres: refiled(31, 32, 33, 34, 35, 36, 37, 38, 39, 40) },
  },
  {
    kind: 'repeat',
    name: 'a record copied to the beginning',
    lines: inserted(1, line(25)),
    finds: [],
    verdict: 'DUPLICATE_DELIVERY',
    except: { postgres: refiled(25) },
  },
  {
    kind: 'insert',
    name: 'a forged record with a number and no fitting link',
    lines: inserted(
      26,
      edited(25, () => ({ prev: 'ab'.repeat(32) })),
    ),
    finds: ['INSERTED 25'],
  },
  {
    kind: 'insert',
    name: 'a forged record before the true one',
    lines: inserted(
      25,
      edited(25, () => ({ prev: 'ab'.repeat(32) })),
    ),
    finds: ['INSERTED 25'],
    except: { postgres: { finds: ['INSERTED 25', 'PROJECTION_MISMATCH 25'] } },
  },
  {
    kind: 'insert',
    name: 'a forged record that continues the stream',
    lines: inserted(26, edited(25, otherActor)),
    finds: ['FORKED 25'],
  },
  { kind: 'fork', name: 'a second branch', lines: [...trail, ...forked], finds: ['FORKED 41-46'] },
  {
    kind: 'fork',
    name: 'a second branch, signed with the same key',
    lines: [...trail, ...twinned],
    finds: ['FORKED 41-52', 'FORKED 51'],
  },
  {
    kind: 'fork',
    name: 'a stream that continues another from a record that is not there',
    lines: [...trail, ...usurper],
    finds: ['FORKED 60'],
  },
  {
    kind: 'insert',
    name: 'a record without a stream',
    lines: inserted(26, '{"action":"x"}'),
    finds: { ordered: ['INSERTED'], unordered: ['INSERTED'] },
  },
  {
    kind: 're-chain',
    name: 'all linked anew after an edit, without the key',
    lines: rechain(replaced(25, edited(25, otherActor))),
    finds: ['CONTENT_TAMPERED 18-59'],
  },
  {
    kind: 're-chain',
    name: 'one deleted and all linked anew, without the key',
    lines: rechain(without(25)),
    finds: ['CONTENT_TAMPERED 18-59'],
  },
  {
    kind: 'wrong key',
    name: 'all signed anew with a key of the same name',
    lines: resigned,
    finds: ['BAD_SIGNATURE 18-60'],
  },
  {
    kind: 'swap streams',
    name: 'two streams with their names exchanged',
    lines: [...renamed(trail, otherStream), ...renamed(stranger, stream)],
    finds: ['WRONG_ORIGIN 18-60', 'WRONG_ORIGIN 10-25'],
  },
  {
    kind: 'delete a stream',
    name: 'a stream deleted that another continues',
    lines: successor,
    finds: ['STREAM_MISSING'],
  },
  {
    kind: 'truncate',
    name: 'the end cut off of a stream that another continues',
    lines: [...trail.slice(0, 50), ...successor],
    finds: ['TRUNCATED 51-60'],
  },
  {
    kind: 'nothing',
    name: 'two streams that follow one another',
    lines: [...trail, ...successor],
    finds: [],
    verdict: 'INTACT',
  },
  {
    kind: 'nothing',
    name: 'a stream behind another branch, whose writer saw this one',
    lines: [...trail, ...ahead(60)],
    finds: [],
    verdict: 'INTACT',
  },
  {
    kind: 'truncate',
    name: 'a stream behind another branch, whose writer saw more than is here',
    lines: [...trail.slice(0, 50), ...ahead(60)],
    finds: ['TRUNCATED 51-60'],
  },
  {
    kind: 'fork',
    name: 'a stream behind another branch, whose writer saw a third one',
    lines: [...trail, ...ahead(60, 'cd'.repeat(32))],
    finds: ['FORKED 60'],
  },
  {
    kind: 'replay a checkpoint',
    name: 'a replayed checkpoint',
    lines: [...trail, ...replay()],
    finds: [],
    verdict: 'OPEN_TAIL',
  },
  {
    kind: 'partial copy',
    name: 'a copy that begins later, known to be partial',
    lines: without(1, 20),
    finds: [],
    verdict: 'INTACT',
    allowPartial: true,
  },
  {
    kind: 'partial copy',
    name: 'a partial copy edited before its first checkpoint',
    lines: without(1, 20).with(4, edited(25, otherActor)),
    finds: ['CONTENT_TAMPERED 25'],
    allowPartial: true,
  },
  {
    kind: 'partial copy',
    name: 'a partial copy edited between its checkpoints',
    lines: without(1, 20).with(20, edited(41, otherActor)),
    finds: ['CONTENT_TAMPERED 41'],
    allowPartial: true,
  },
  {
    kind: 'partial copy',
    name: 'a partial copy with one checkpoint',
    lines: without(1, 52),
    finds: ['UNANCHORED'],
    allowPartial: true,
  },
  {
    kind: 'truncate',
    name: 'the end cut off above a checkpoint',
    lines: trail.slice(0, 58),
    finds: [],
    verdict: 'OPEN_TAIL',
    undetectable: true,
  },
  {
    kind: 'roll back',
    name: 'a copy rolled back to an earlier state',
    lines: trail.slice(0, 35),
    finds: [],
    verdict: 'INTACT',
    undetectable: true,
  },
  {
    kind: 'delete a stream',
    name: 'a stream deleted that no other names',
    lines: stranger,
    finds: [],
    verdict: 'INTACT',
    undetectable: true,
  },
  {
    kind: 'forged redaction',
    name: 'a record blanked, with a receipt of a redaction',
    lines: replaced(25, edited(25, blanked)),
    finds: ['CONTENT_TAMPERED 25'],
  },
  {
    kind: 'forged redaction',
    name: 'a record blanked, and all linked anew, without the key',
    lines: rechain(replaced(25, edited(25, blanked))),
    finds: ['CONTENT_TAMPERED 18-59'],
  },
  {
    kind: 'delete a stream',
    name: 'everything deleted',
    lines: [],
    finds: [],
    verdict: 'UNREADABLE',
    except: { postgres: { finds: [], verdict: 'NO_RECORDS' }, spool: { finds: [], verdict: 'NO_RECORDS' } },
  },
  {
    kind: 'truncate',
    name: 'the end cut off below a checkpoint that is still there',
    lines: [...trail.slice(0, 50), line(52)],
    finds: ['MISSING 51'],
  },
  {
    kind: 'truncate',
    name: 'the end cut off, and what the copy itself says of its end left as it was',
    lines: trail,
    beside: { postgres: { statement: 'delete from audit.record where seq > 58' }, spool: { keeps: 58 } },
    finds: ['TRUNCATED 59-60'],
  },
  {
    kind: 'truncate',
    name: 'only the first checkpoint left of many',
    lines: [...trail.slice(0, 17), line(52)],
    finds: ['MISSING 18-51'],
  },
  {
    kind: 're-chain',
    name: 'a record above the last checkpoint edited, and the rest linked anew',
    lines: rechain(trail.slice(0, 58).with(55, edited(56, otherActor))),
    finds: [],
    verdict: 'OPEN_TAIL',
    undetectable: true,
  },
  {
    kind: 'insert',
    name: 'a record added at the end, linked',
    lines: appended({ action: 'forged.act' }),
    finds: [],
    verdict: 'OPEN_TAIL',
    undetectable: true,
  },
  {
    kind: 'wrong key',
    name: 'a checkpoint added at the end, signed by another key of that name',
    lines: appendedCheckpoint(),
    finds: ['BAD_SIGNATURE 61'],
  },
  {
    kind: 'attributes and columns',
    name: 'an attribute edited',
    lines: trail,
    beside: { otlp: (text) => text.replace('"stringValue":"u-25"', '"stringValue":"mallory"') },
    finds: ['PROJECTION_MISMATCH 25'],
  },
  {
    kind: 'attributes and columns',
    name: 'a column edited',
    lines: trail,
    beside: { postgres: { statement: "update audit.record set actor_id = 'mallory' where seq = 25" } },
    finds: ['PROJECTION_MISMATCH 25'],
  },
  {
    kind: 'attributes and columns',
    name: 'a record repeated with another attribute or column',
    lines: [...trail, line(25)],
    beside: {
      otlp: (text) => replaceLast(text, '"stringValue":"u-25"', '"stringValue":"mallory"'),
      postgres: {
        statement: `update audit.record set actor_id = 'mallory' where seq = 25
          and recorded_at = (select max(recorded_at) from audit.record where seq = 25)`,
      },
    },
    finds: ['PROJECTION_MISMATCH 25'],
  },
  {
    kind: 'attributes and columns',
    name: 'the hash of a stream head edited',
    lines: trail,
    beside: { postgres: { statement: "update audit.stream_head set hash = '\\x00'" } },
    finds: ['PROJECTION_MISMATCH 60'],
  },
  {
    kind: 'wrong key',
    name: 'the checkpoint beside the records exchanged for one of another stream',
    lines: trail,
    beside: { archive: () => noteOf(strangersLike) },
    finds: ['WRONG_ORIGIN 59'],
  },
  {
    kind: 'wrong key',
    name: 'the checkpoint beside the records signed anew with a key of the same name',
    lines: trail,
    beside: { archive: () => noteOf(resigned) },
    finds: ['BAD_SIGNATURE 59'],
  },
  {
    kind: 'prune',
    name: 'the beginning removed, noted beside the records and stated under a signature',
    lines: stated,
    beside: { postgres: { statement: `${removal}; ${removalNoted(leafOf(line(18)))}` } },
    finds: [],
    verdict: 'PRUNED',
  },
  {
    kind: 'prune',
    name: 'the beginning removed and noted beside the records, without a statement',
    lines: trail,
    beside: { postgres: { statement: `${removal}; ${removalNoted(leafOf(line(18)))}` } },
    finds: ['UNAUTHORISED_PRUNE 1-18'],
  },
  {
    kind: 'prune',
    name: 'more removed than was stated under a signature',
    lines: stated,
    beside: {
      postgres: { statement: `${removal}; delete from audit.record where seq = 19; ${removalNoted(leafOf(line(18)))}` },
    },
    finds: ['MISSING 19'],
  },
  {
    kind: 'prune',
    name: 'the beginning removed as stated, and another hash noted beside the records',
    lines: stated,
    beside: { postgres: { statement: `${removal}; ${removalNoted('ab'.repeat(32))}` } },
    finds: ['LINK_BROKEN 19', 'UNAUTHORISED_PRUNE 1-18'],
  },
  {
    kind: 'prune',
    name: 'the beginning deleted, and a deletion forged that nothing signed covers',
    lines: appended({ action: 'audit.file.deleted', event_type: 'audit.file.deleted', details: deletion }).slice(20),
    finds: ['MISSING 1-20'],
  },
  {
    kind: 'prune',
    name: 'the beginning deleted, and the trail says so under its signature',
    lines: pruned.lines.slice(20),
    finds: ['MISSING 1-20'],
    except: {
      ndjson: { finds: [], verdict: 'PRUNED' },
      'ndjson.gz': { finds: [], verdict: 'PRUNED' },
      stdin: { finds: [], verdict: 'PRUNED' },
    },
  },
]

function replay(): string[] {
  const writer = new TrailWriter(stream, keys)
  for (const text of trail) writer.seal(JSON.parse(text))
  return writer.sealCheckpoint(JSON.parse(line(35)).details).lines.slice(60)
}

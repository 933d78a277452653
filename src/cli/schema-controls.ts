/**
 * Every type of control record, for those who review a trail: what it says, and what its `details` hold. In short what
 * docs/formats.md section 1c says. The compiler holds it to the types that there are; a test holds the members of
 * `details` to records that were written.
 */

import type { ControlType } from '../event/record.ts'

/** What a type of control record says. */
export interface ControlDocument {
  /** Markdown, one sentence. */
  readonly meaning: string
  /** Members of `details` and what each means, Markdown. */
  readonly details: Readonly<Record<string, string>>
  /** Nothing writes it yet; the name is kept free. */
  readonly isReserved?: true
}

const hold = {
  id: 'number of the hold',
  stream: 'criterion: the stream',
  tenant: 'criterion: the tenant',
  actor: 'criterion: the actor',
  targetType: 'criterion: the type of target',
  target: 'criterion: the target',
  from: 'criterion: not before this time',
  to: 'criterion: before this time',
  reason: 'why it was placed',
  placedBy: 'who placed it',
  placedAt: 'when',
}

const reserved = (meaning: string): ControlDocument => ({ meaning, details: {}, isReserved: true })

const suppressed = {
  from: 'when the window began',
  to: 'when it ended',
  policy: 'hash of the policy that decided',
  rules: 'array of `{id, operation, outcome, count}`: how many events each rule kept out',
}

const policyChange = {
  before: 'hash of the policy that was in force',
  after: 'hash of the policy that is in force now',
  changed_fields: 'names of the settings that differ',
  applied: 'those that take effect at once',
  restart_required: 'those that take effect at the next start',
  source: 'what asked for it: `code`, `env`, `SIGHUP`, `file`',
}

export const controlDocuments: Readonly<Record<ControlType, ControlDocument>> = {
  'audit.stream.opened': {
    meaning: 'A writer opened the stream: the first record after every start.',
    details: {
      deployment: 'the trail it belongs to',
      verifier_key: 'the key that signs from here on, as the writer says',
      reason: '`first`, `reopened`, or why a new stream began',
      previous_end: '`none`, `clean`, or `crash`',
      recovered: 'records that were found and carried over',
      torn_bytes: 'bytes of an append that a crash cut off',
      quarantined: 'records that were found damaged and set aside',
      predecessor: '`{stream, seq, hash, reason}`: the end of the stream that this one follows',
      ahead: '`{destination, seq, hash}`: another record that a destination held in that place',
      suppressed: 'counts that the writer before had not sealed, as `details` of `audit.suppressed`',
    },
  },
  'audit.stream.closed': { meaning: 'The writer ended the stream in good order.', details: {} },
  'audit.checkpoint': {
    meaning: 'A signature over everything up to a record of the stream.',
    details: {
      note: 'the signed note: origin, size, root and signatures',
      frontier: 'array of hashes that fold to the signed root',
    },
  },
  'audit.suppressed': {
    meaning: 'How many events policy kept out since the last such record, and by which rules.',
    details: suppressed,
  },
  'audit.gap': {
    meaning: 'What is known to be missing from the stream.',
    details: {
      reason:
        '`emergency` (events went to standard error), `accepted_loss` (an operator accepted it), `ahead` (a destination has them and the spool does not), or `older_copy` (a destination lost them, and the spool has them no more)',
      destination: 'name of the destination that lacks them',
      count: 'how many records',
      bytes: 'how many bytes',
      from: 'where it begins: a time, or a sequence',
      to: 'where it ends',
      lost: 'events that not even standard error took',
      stream: 'the stream that they were of',
      others: 'further streams that are concerned',
      quarantined: 'how many of them lie whole in the quarantine',
      operator: 'who accepted it',
      why: 'the reason that was given',
      repair: 'name of the folder in the quarantine',
    },
  },
  'audit.policy.changed': { meaning: 'Another policy decides from here on.', details: policyChange },
  'audit.policy.rejected': {
    meaning: 'A change of policy was asked for and refused: the policy in force stays.',
    details: { ...policyChange, reason: 'why it was refused', setting: 'the setting at fault' },
  },
  'audit.key.rotated': {
    meaning: 'Another key signs from here on.',
    details: {
      old: 'verifier key until now',
      new: 'verifier key from now on',
      note: 'the statement of the change, signed by both',
    },
  },
  'audit.quarantined': {
    meaning: 'Records that a destination refuses for ever were set aside; they stay in the quarantine.',
    details: {
      destination: 'name of the destination',
      stream: 'the stream they are of',
      seq: 'sequence of the first',
      hash: 'its hash',
      to: 'sequence of the last, where there are more',
      to_hash: 'its hash',
      held_seq: 'sequence of the record that the destination holds instead',
      held_hash: 'its hash',
      reason: 'what the destination said',
    },
  },
  'audit.erased': {
    meaning: 'Personal values were erased: what these commitments disclosed is gone. Whose they were is not said.',
    details: {
      subject_digests: 'the commitments, as they stand in the records; at most 500, one record after another',
      count: 'how many they are',
      why: 'the reason that was given',
      operator: 'who ran it',
    },
  },
  'audit.pruned': {
    meaning: 'Records past their retention were removed from a database; only now may they go.',
    details: {
      stream: 'the stream they are of',
      from: 'sequence of the first',
      to: 'sequence of the last',
      hash: 'its leaf hash',
      root: 'root of the tree of the first `to` records of the stream, base64; absent where it is not known',
      archive: 'where they were archived to; absent where nowhere',
      before: 'the limit: records sealed before this time',
      days: 'how many days are kept',
      operator: 'who ran it; absent where a service did by itself',
    },
  },
  'audit.restored': {
    meaning: 'Records that were removed from a database are put back into it for a time.',
    details: {
      stream: 'the stream they are of',
      from: 'sequence of the first',
      to: 'sequence of the last',
      source: 'the copy they come from',
      until: 'when retention removes them again',
      operator: 'who ran it',
    },
  },
  'audit.verified': {
    meaning: 'A copy was verified, with this verdict.',
    details: {
      stream: 'the stream that was read',
      from: 'first sequence that the copy holds',
      to: 'last sequence that a signature covers, or the last one where none does',
      root: 'the root that was signed for that size; absent where none was',
      verdict: 'the worst that was seen of this stream',
      source: 'which kind of copy: `spool`, the own one of the service; any other where somebody ran `verify`',
      operator: 'who ran it; absent where the service did by itself',
    },
  },
  'audit.anchored': {
    meaning: 'A checkpoint was anchored outside: somebody else holds it, or says that he has seen it.',
    details: {
      kind: '`witness`: a cosignature · `timestamp`: RFC 3161 · `git`: a commit · `file`: a copy · `http`: a copy on a server',
      name: 'name and key id of the witness, address of the authority or of the file, or folder',
      stream: 'the stream that the checkpoint is of',
      size: 'how many records it covers',
      root: 'its root, base64',
      token:
        'signature line of the witness, the timestamp response in base64, or the hash of the commit; absent of a copy',
      operator: 'who asked for it; absent where a service did by itself',
    },
  },
  'audit.query': reserved('Somebody queried the trail.'),
  'audit.exported': {
    meaning: 'Somebody took records out of a copy of the trail.',
    details: {
      who: 'who did it',
      kind: '`evidence`: a bundle for an auditor · `spool`: the records of a spool',
      source: 'which kind of copy they were taken from',
      verdict: 'what verification of that copy said',
      filter: 'what was asked for',
      isAboutSubject: 'whether it holds somebody’s records only',
      count: 'how many records',
      state: '`begun`, before the first record of a spool leaves · `complete` · `failed`; absent of a bundle',
      reason: 'why it failed',
      digest: 'SHA-256 of the bundle, hex',
      operator: 'who ran it',
    },
  },
  'audit.destination.dropped': {
    meaning: 'Records are no longer kept for a destination.',
    details: {
      name: 'name of the destination',
      why: 'the reason that was given',
      operator: 'who said so',
      stream: 'stream of the last record that it had confirmed',
      seq: 'its sequence',
    },
  },
  'audit.destination.resent': {
    meaning: 'Records that a destination lacked were sent to it again, because somebody asked for it.',
    details: {
      destination: 'name of the destination',
      count: 'how many records it has taken',
      ranges: 'array of `{stream, from, to}`: which; at most a hundred',
      gone: 'the same of those that the spool has no more',
      refused: 'the same of those that the destination refused again',
      operator: 'who asked',
      why: 'the reason that was given',
    },
  },
  'audit.destination.rewound': {
    meaning: 'A destination came back as an older copy of itself: what it lacks is sent again.',
    details: {
      destination: 'name of the destination',
      stream: 'stream of the last record that it holds; absent where it holds none that is known here',
      seq: 'its sequence',
      confirmed: '`{stream, seq}`: the last record that it had confirmed before',
    },
  },
  'audit.hold.added': {
    meaning: 'A legal hold was placed: what matches all criteria is not removed.',
    details: hold,
  },
  'audit.hold.released': {
    meaning: 'A legal hold was released.',
    details: {
      ...hold,
      releasedBy: 'who released it',
      releasedAt: 'when',
      releaseReason: 'why',
    },
  },
  'audit.quarantine.resolved': {
    meaning: 'What became of records in quarantine, as an operator asked: they leave it.',
    details: {
      destination: 'name of the destination',
      stream: 'the stream they are of',
      seq: 'sequence of the first',
      hash: 'its hash',
      to: 'sequence of the last, where there are more',
      to_hash: 'its hash',
      resolution: '`delivered`: taken at last · `discarded`: given up for this destination',
      operator: 'who asked for it',
      why: 'the reason that was given',
    },
  },
  'audit.file.deleted': {
    meaning: 'A closed file of the file destination is deleted, as its maxBackups says.',
    details: {
      destination: 'name of the destination',
      file: 'name of the file, without its folder',
      records: 'how many records it held',
      ranges: 'what is gone by it and by those deleted before: `{stream, from, to, hash}`, the hash that of the last',
    },
  },
  'audit.heartbeat': reserved('The writer lives, though nothing happened.'),
}

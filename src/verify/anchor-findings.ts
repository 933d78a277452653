/** What is said of checkpoints that contradict each other, or the records that they cover. Pure. */

import type { Anchor, AnchorRefusal } from './anchor.ts'
import type { StreamFinding } from './finding-log.ts'
import type { Source } from './source.ts'

/** The key has signed two histories. */
export function findTwoRoots({ link, size, root }: Anchor, before: Buffer, source: Source): StreamFinding {
  const [expected, found] = [before.toString('hex'), Buffer.from(root).toString('hex')]
  const detail = `two checkpoints of ${size} records are signed with different roots`
  const where = source.locate(link.position)
  return { verdict: 'FORKED', stream: link.stream, sequence: size, expected, found, where, detail }
}

/** Records from `from` on whose links fit, but that fold to another root. */
export function findUnreachedRoot(
  { link, size, root }: Anchor,
  { from, folded }: { readonly from: number; readonly folded: Buffer },
  source: Source,
): StreamFinding {
  return {
    verdict: 'CONTENT_TAMPERED',
    stream: link.stream,
    from,
    to: size,
    expected: Buffer.from(root).toString('hex'),
    found: folded.toString('hex'),
    where: source.locate(link.position),
    detail: 'the links fit, but these records do not fold to the root that was signed for them',
  }
}

export function findRefusal({ link, verdict, detail }: AnchorRefusal, source: Source): StreamFinding {
  const { stream, sequence, position } = link
  return { verdict, stream, sequence, where: source.locate(position), detail }
}

/**
 * What of a stream is past its retention: ranges of records, with the tree at their ends. Always holds: a range holds no
 * record that is newer than the limit, none that a legal hold keeps, and none that a destination of the journal lacks; the
 * records up to each checkpoint in it fold to the checkpoint's root. What does not is left where it is, as evidence.
 *
 * A held record alone would prove nothing. So everything from the checkpoint before it to the one after it stays.
 */

import { parseCheckpoint } from '../chain/checkpoint.ts'
import { Frontier } from '../chain/merkle.ts'
import { parseRecord } from '../event/record.ts'
import type { Queryable } from './client.ts'
import { isHeld } from './hold.ts'

const pageRows = 5_000

/** Records that may go. */
export interface PruneRange {
  readonly stream: string
  readonly from: number
  readonly to: number
  /** RFC 3339 with microseconds. */
  readonly recordedFrom: string
  readonly recordedTo: string
  /** Leaf hash of the last of them. */
  readonly hash: string
  /** The tree of the first `to` records, where it is known. */
  readonly tree: Frontier | undefined
}

/** What may go of a stream; `refused`: nothing of it, and why. */
export interface StreamPlan {
  readonly ranges: readonly PruneRange[]
  readonly refused?: string
}

/** Streams with records before `before` (RFC 3339), and the last of those that may go. */
export async function findPrunable(
  client: Queryable,
  before: string,
): Promise<{ readonly stream: string; readonly to: number }[]> {
  const { rows } = await client.query<{ stream: string; last: string | null }>(
    `select h.stream, least(
       coalesce(
         (select min(r.seq) - 1 from audit.record r where r.stream = h.stream and r.recorded_at >= $1),
         (select max(r.seq) from audit.record r where r.stream = h.stream)
       ),
       audit.exported_to(h.stream)
     ) as last
     from audit.stream_head h
     where exists (select from audit.record r where r.stream = h.stream and r.recorded_at < $1)
     order by h.stream`,
    [before],
  )
  return rows.flatMap(({ stream, last }) => (last === null ? [] : [{ stream, to: Number(last) }]))
}

interface PlanRow {
  readonly seq: string
  readonly hash: string
  readonly recorded: string
  readonly checkpoint: Buffer | null
  readonly held: boolean
}

/** Reads the stream up to `to`, in pages, and says what may go. */
export async function planStream(client: Queryable, stream: string, to: number): Promise<StreamPlan> {
  const holds = await client.query<{ some: boolean }>(
    'select exists (select from audit.legal_hold where released_at is null) as some',
  )
  const held = holds.rows[0]?.some === true ? isHeld : 'false'
  const planner = new StreamPlanner(stream, await treesBefore(client, stream))
  for (let after = 0; ; ) {
    // One page after the other: each begins where the last one ended.
    const { rows } = await client.query<PlanRow>(
      `select r.seq, encode(r.hash, 'hex') as hash, ${held} as held,
         to_char(r.recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as recorded,
         case when r.event_type = 'audit.checkpoint' then r.record end as checkpoint
       from audit.record r
       where r.stream = $1 and r.seq > $2 and r.seq <= $3 and not audit.is_pruned(r.stream, r.seq)
       order by r.seq limit ${pageRows}`,
      [stream, after, to],
    )
    for (const row of rows) if (!planner.add(row)) return planner.plan()
    if (rows.length < pageRows) return planner.plan()
    after = Number(rows.at(-1)?.seq)
  }
}

/** The trees at the ends of what was removed before, by their size. */
async function treesBefore(client: Queryable, stream: string): Promise<Map<number, Frontier>> {
  const { rows } = await client.query<{ size: string; tree: Buffer[] }>(
    'select to_seq as size, tree from audit.partition where stream = $1 and tree is not null',
    [stream],
  )
  const trees = rows.map(({ size, tree }) => [Number(size), Frontier.from(Number(size), tree)] as const)
  return new Map(trees.flatMap(([size, tree]) => (tree === undefined ? [] : [[size, tree] as const])))
}

interface Placed {
  readonly sequence: number
  readonly hash: string
  readonly recorded: string
}

/** Follows one stream. A run is records without a hole between them. */
class StreamPlanner {
  readonly #stream: string
  readonly #trees: ReadonlyMap<number, Frontier>
  readonly #ranges: PruneRange[] = []
  #refused: string | undefined
  #last: Placed | undefined
  /** The tree up to the last checkpoint's size; undefined while nothing says what it is. */
  #tree: Frontier | undefined
  /** Records after that size, or after the beginning of the run. */
  #open: Placed[] = []
  /** Of them, whether a hold keeps one; and the last record that stays because of one before. */
  #isHeld = false
  #keptTo = 0
  /** What may go, as far as it is decided. */
  #first: Placed | undefined
  #lastFree: Placed | undefined
  #lastFreeTree: Frontier | undefined

  constructor(stream: string, trees: ReadonlyMap<number, Frontier>) {
    this.#stream = stream
    this.#trees = trees
  }

  /** False when the stream is refused. */
  add({ seq, hash, recorded, checkpoint, held }: PlanRow): boolean {
    const placed = { sequence: Number(seq), hash, recorded }
    if (this.#last?.sequence === placed.sequence) return this.#refuse(`record ${placed.sequence} is there twice`)
    if (placed.sequence !== (this.#last?.sequence ?? 0) + 1) this.#beginRun(placed.sequence)
    this.#last = placed
    this.#open.push(placed)
    this.#isHeld ||= held
    return checkpoint === null || this.#reach(readSize(checkpoint), placed.sequence)
  }

  plan(): StreamPlan {
    if (this.#refused !== undefined) return { ranges: [], refused: this.#refused }
    this.#endRun()
    return { ranges: this.#ranges }
  }

  #beginRun(sequence: number): void {
    this.#endRun()
    this.#tree = sequence === 1 ? new Frontier() : this.#trees.get(sequence - 1)?.clone()
    this.#keptTo = 0
  }

  /** A checkpoint of `size` records stands at `at`: what it covers is decided. */
  #reach(signed: { size: number; root: Buffer; tree: Frontier | undefined } | undefined, at: number): boolean {
    const start = this.#open[0]?.sequence ?? 0
    if (signed === undefined || signed.size < start) return true
    const count = Math.min(this.#open.length, signed.size - start + 1)
    const covered = this.#open.slice(0, count)
    const tree = this.#tree?.clone()
    for (const { hash } of covered) tree?.append(hash)
    if (tree !== undefined && !tree.root().equals(signed.root))
      return this.#refuse(`records ${start} to ${signed.size} do not fold to the root that was signed for them`)
    this.#decide(covered, tree ?? signed.tree, at)
    this.#open = this.#open.slice(count)
    this.#tree = tree ?? signed.tree
    return true
  }

  #decide(covered: readonly Placed[], tree: Frontier | undefined, keptTo: number): void {
    if (this.#isHeld) {
      this.#closeRange()
      this.#keptTo = keptTo
    } else for (const placed of covered) this.#free(placed, undefined)
    if (!this.#isHeld && this.#lastFree === covered.at(-1)) this.#lastFreeTree = tree?.clone()
    this.#isHeld = false
  }

  #free(placed: Placed, tree: Frontier | undefined): void {
    if (placed.sequence <= this.#keptTo) return
    this.#first ??= placed
    this.#lastFree = placed
    this.#lastFreeTree = tree
  }

  /** What no checkpoint covers yet goes with the rest, unless a hold keeps something of it. */
  #endRun(): void {
    if (!this.#isHeld) {
      const tree = this.#tree?.clone()
      for (const placed of this.#open) {
        tree?.append(placed.hash)
        this.#free(placed, undefined)
      }
      if (this.#open.length > 0 && this.#lastFree === this.#open.at(-1)) this.#lastFreeTree = tree
    }
    this.#closeRange()
    this.#open = []
    this.#isHeld = false
  }

  #closeRange(): void {
    const [first, last] = [this.#first, this.#lastFree]
    if (first !== undefined && last !== undefined) {
      this.#ranges.push({
        stream: this.#stream,
        from: first.sequence,
        to: last.sequence,
        recordedFrom: first.recorded,
        recordedTo: last.recorded,
        hash: last.hash,
        tree: this.#lastFreeTree,
      })
    }
    this.#first = undefined
    this.#lastFree = undefined
    this.#lastFreeTree = undefined
  }

  #refuse(why: string): false {
    this.#refused = why
    return false
  }
}

/** What a checkpoint record says, unsigned: whoever verifies asks for the signature. */
function readSize(record: Buffer): { size: number; root: Buffer; tree: Frontier | undefined } | undefined {
  const { note, frontier } = (parseRecord(record)?.details ?? {}) as { note?: unknown; frontier?: unknown }
  if (typeof note !== 'string' || !Array.isArray(frontier)) return undefined
  const checkpoint = parseCheckpoint(note.slice(0, note.indexOf('\n\n') + 1))
  if ('problem' in checkpoint) return undefined
  const { size, root } = checkpoint
  const tree = Frontier.from(
    size,
    frontier.map((hash) => Buffer.from(String(hash), 'base64')),
  )
  return { size, root: Buffer.from(root), tree: tree?.root().equals(Buffer.from(root)) ? tree : undefined }
}

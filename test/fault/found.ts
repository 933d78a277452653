/**
 * What the fault tests, the simulator and the reviews of this protocol have found on the way: each became a row of a
 * table test or a test of its own, named here. Append; docs/reliability.md is written from it.
 */

export interface Found {
  /** Who noticed it: the name of a fault test, or `simulator`. */
  readonly by: string
  readonly bug: string
  /** Where it cannot come back unnoticed; a path of this repository. */
  readonly test: string
}

export const found: readonly Found[] = [
  {
    by: 'simulator',
    bug: 'A sidecar that had read above the watermark called the spool damaged after the writer was killed and recovered.',
    test: 'test/spool/reader.test.ts',
  },
  {
    by: 'simulator',
    bug: 'A cursor whose hint had become useless skipped a record, which was then never delivered.',
    test: 'test/spool/reader.test.ts',
  },
  {
    by: 'simulator',
    bug: 'A damaged first frame of the oldest segment ended reading without a word.',
    test: 'test/spool/reader.test.ts',
  },
  {
    by: 'simulator',
    bug: 'A control file removed from a spool of one segment made the next opening begin anew and remove its records.',
    test: 'test/spool/recover.test.ts',
  },
  {
    by: 'simulator',
    bug: 'A first opening whose last directory sync failed, then a second one killed, then a power cut: refused as damaged.',
    test: 'test/spool/recover.test.ts',
  },
  {
    by: 'enospc-drain',
    bug: 'A segment that had filled its disk alone was never given back, although everything durable was confirmed: its successor could not be written whole.',
    test: 'test/fault/no-space.ts',
  },
  {
    by: 'enospc-write',
    bug: 'A start on a full disk failed and left a segment behind, so that each try had less room than the one before.',
    test: 'test/fault/no-space.ts',
  },
  {
    by: 'simulator',
    bug: 'A recovery that gave up on a full disk removed two names at once; a power cut kept one of the removals only, and the spool was refused as damaged.',
    test: 'test/sim/sim.test.ts',
  },
  {
    by: 'simulator',
    bug: 'A recovery killed between the segments of two streams lost the durable records of the second.',
    test: 'test/spool/stream.test.ts',
  },
  {
    by: 'simulator',
    bug: 'A write refused just after a sync left the end at the next sector, behind no frame; it was credited, and read as damage later.',
    test: 'test/spool/failover.test.ts',
  },
  {
    by: 'simulator',
    bug: 'A segment that was entered, credited and still empty made the next opening call the spool damaged.',
    test: 'test/sim/scripted.ts',
  },
  {
    by: 'simulator',
    bug: 'A rescue stated the tree one record short; reclaim believed it and gave back a record that a destination lacked.',
    test: 'test/spool/failover.test.ts',
  },
  {
    by: 'simulator',
    bug: 'Of two streams begun in a row without a record between, the second named a record 0 as the one before it.',
    test: 'test/spool/stream.test.ts',
  },
  {
    by: 'review',
    bug: 'A reader called the place damaged at which another stream was about to begin.',
    test: 'test/spool/reader.test.ts',
  },
  {
    by: 'review',
    bug: 'The first records of a new stream counted as durable before anything of it was synced.',
    test: 'test/spool/spool.test.ts',
  },
  {
    by: 'review',
    bug: 'A segment header that led to itself made reading go round for ever.',
    test: 'test/spool/recover.test.ts',
  },
  {
    by: 'review',
    bug: 'On a full disk behind standard error, or with its reader gone, saying so ended the program.',
    test: 'test/audit/standard-error.test.ts',
  },
  {
    by: 'sim-eio',
    bug: 'A sidecar whose segment was given back twice before it had read anything new called the spool damaged.',
    test: 'test/spool/reader.test.ts',
  },
  {
    by: 'simulator',
    bug: 'A failed sync of the directory after segments were given back was forgiven, also for the name of a rescue made in the same moment: after a power cut the spool was refused, one history in 75,000.',
    test: 'test/spool/retention.test.ts',
  },
  {
    by: 'simulator',
    bug: 'Another stream begun right behind a write that a full disk had cut: what the write left hid the new segment, and the next opening called the spool damaged.',
    test: 'test/spool/stream.test.ts',
  },
  {
    by: 'sim-eio',
    bug: 'What was left of a first opening that had failed came back with a power cut, beside the spool that was made after it: the next opening called that damaged.',
    test: 'test/spool/left-behind.ts',
  },
]

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
]

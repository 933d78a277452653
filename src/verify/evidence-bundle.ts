/**
 * The bundle: one zip that an auditor can check with Python and OpenSSL alone. Always holds: the same evidence gives the
 * same bytes (fixed dates, nothing compressed, files in a fixed order). Names in it come from us and from checked UUIDs.
 */

import { zipSync } from 'fflate'
import type { Evidence } from './evidence.ts'
import { formatEvidencePage } from './evidence-html.ts'
import type { EvidenceReport } from './evidence-report.ts'

/** The programs that check a bundle: file names and texts. */
export type CheckPrograms = Readonly<Record<string, string>>

export function packEvidence(evidence: Evidence, report: EvidenceReport, programs: CheckPrograms): Uint8Array {
  const lines = evidence.records.flatMap(({ bytes }) => [bytes, newline])
  const files: [name: string, content: string | Uint8Array][] = [
    ['README.txt', readme(report)],
    ['report.html', formatEvidencePage(report, evidence)],
    ['report.json', `${JSON.stringify(report, undefined, 2)}\n`],
    ['keys.txt', report.keys.map((key) => `${key}\n`).join('')],
    ...Object.entries(programs).sort(),
    ['records.ndjson', Buffer.concat(lines)],
    ...[...evidence.checkpoints].map(([stream, note]): [string, string] => [`checkpoints/${stream}.note`, note]),
    ...evidence.records.flatMap(({ stream, sequence, proof }): [string, string][] =>
      proof === undefined ? [] : [[`proofs/${stream}/${sequence}.tlog-proof`, proof]],
    ),
  ]
  const contents = files.map(([name, content]) => [name, typeof content === 'string' ? Buffer.from(content) : content])
  // A date without a zone: zip holds local time.
  return zipSync(Object.fromEntries(contents), { level: 0, mtime: new Date(1980, 0, 1), os: 3, attrs: 0o644 << 16 })
}

const newline = Buffer.from('\n')

function readme({ records, proven, isAboutSubject, verification }: EvidenceReport): string {
  return `Audit evidence
==============

${records} records of an audit trail, ${proven} of them with a proof that each stands unchanged in a trail whose checkpoints were
signed. ${isAboutSubject ? 'They are those of one question (report.json, "filter"); of other records there are only hashes here.' : 'They are all records of the time that was asked for.'}

The copy that they were taken from was verified: ${verification.verdict}. report.html is to read and to print.

How to check it
---------------

You need Python 3.9 or newer and the openssl command, on any computer, without a network. Read check.py and verify.py first:
together they are less than 250 lines.

1. Get the verifier keys from whom you trust, not from this bundle, and compare them with keys.txt.
2. In the folder into which you unpacked this:

       python3 check.py --vkey keys.txt

   It ends with 0 and PROVEN when every record has a proof and every proof holds; with 1 and findings otherwise.

By hand, one record and its proof:

       sed -n 1p records.ndjson | tr -d '\\n' | (printf '\\0'; cat) | sha256sum

   is the leaf hash. proofs/STREAM/SEQ.tlog-proof (c2sp.org/tlog-proof) holds the way from there to the root in the
   checkpoint below it, which is a signed note (c2sp.org/signed-note).

With otel-audit: otel-audit proof check PROOF --record FILE --vkey keys.txt

What it does not show
---------------------

That nothing else happened: events that were never emitted, or that policy kept out (report.html counts these${isAboutSubject ? ' in a bundle\nabout all records' : ''}).
That these are all the records of a selection: whoever made the bundle could leave some out. A bundle of all records of a
time shows it: there check.py says of each stream that no number is missing.
Anything done by whoever holds the signing key, unless a checkpoint was kept elsewhere: compare those in checkpoints/.
`
}

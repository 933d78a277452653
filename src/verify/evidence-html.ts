/**
 * The report of a bundle as a page: `report.html`. Opens from the file system and prints on paper; no script, nothing
 * fetched. Always holds: whatever a record holds stands on the page as text.
 */

import type { Evidence, EvidenceRecord } from './evidence.ts'
import type { EvidenceFact, EvidenceReport } from './evidence-report.ts'

/** Most records listed on the page; all are in `records.ndjson`. */
const listedMax = 1_000

export function formatEvidencePage(report: EvidenceReport, { records }: Evidence): string {
  const { verification, proven } = report
  const sound = verification.exitCode === 0 && proven === records.length
  const body = [
    '<h1>Audit evidence</h1>',
    `<p class="verdict ${sound ? 'sound' : 'unsound'}"><b>${text(verification.verdict)}</b> ${summaryOf(report)}</p>`,
    '<p>This page is a summary, and proves nothing by itself. <code>README.txt</code> says how to check the records and their proofs without the software that made them.</p>',
    table('What was asked for', ['filter', 'value'], questionRows(report)),
    table(
      'Streams',
      ['stream', 'records', 'from', 'to', 'numbers'],
      report.streams.map(({ stream, records: count, first, last, isContiguous }) => [
        stream,
        `${count}`,
        `${first}`,
        `${last}`,
        isContiguous ? 'none is missing' : 'a selection',
      ]),
    ),
    table(
      'Findings',
      ['finding', 'stream', 'sequence', 'what was seen'],
      verification.findings.map(({ verdict, stream = '', sequence, from, to, detail }) => [
        verdict,
        stream,
        sequence === undefined ? `${from ?? ''} to ${to ?? ''}` : `${sequence}`,
        detail,
      ]),
    ),
    suppressedTable(report),
    factTable('Policy', report.policy, report),
    factTable('Gaps and quarantine', report.gaps, report),
    factTable('Retention and erasure', report.removals, report),
    factTable('Changes of signing keys', report.keyChanges, report),
    table(
      'Keys that the proofs were made for',
      ['verifier key'],
      report.keys.map((key) => [key]),
    ),
    table(
      `Records${records.length > listedMax ? ` (the first ${listedMax} of ${records.length})` : ''}`,
      ['time', 'sequence', 'outcome', 'actor', 'action', 'target', 'proof'],
      records.slice(0, listedMax).map(recordRow),
    ),
  ]
  return `<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">\n<title>Audit evidence</title>\n<style>${style}</style>\n</head>\n<body>\n${body.join('\n')}\n</body>\n</html>\n`
}

function summaryOf({ records, proven, verification }: EvidenceReport): string {
  const what = `${records} records, ${proven} of them with a proof`
  const { whole } = verification
  if (whole === undefined) return text(what)
  return text(`${what}, in a copy with ${whole.records} records; signed checkpoints: ${whole.checkpoints}`)
}

function questionRows({ filter, withheld }: EvidenceReport): string[][] {
  const asked = Object.entries(filter).map(([name, value]) => [name, String(value)])
  const rows = asked.length === 0 ? [['everything', '']] : asked
  if (withheld.length > 0) rows.push(['left out, because it speaks of everybody', withheld.join(', ')])
  return rows
}

function factTable(
  title: string,
  facts: readonly EvidenceFact[],
  { isAboutSubject, withheld }: EvidenceReport,
): string {
  if (facts.length === 0 && isAboutSubject && withheld.length > 0 && title !== 'Policy') return ''
  const rows = facts.map(({ type, recorded, stream, sequence, details }) => [
    recorded.slice(0, 23),
    `${stream} ${sequence}`,
    type,
    JSON.stringify(details),
  ])
  return table(title, ['time', 'record', 'type', 'what it says'], rows)
}

/** A line for each rule of each account. */
function suppressedTable({ suppressed, isAboutSubject }: EvidenceReport): string {
  if (isAboutSubject) return ''
  const rows = suppressed.flatMap(({ details }) => {
    const { from, to, rules } = (details ?? {}) as { from?: unknown; to?: unknown; rules?: unknown }
    const window = `${shortTime(from)} to ${shortTime(to)}`
    return (Array.isArray(rules) ? rules : []).map((rule: Readonly<Record<string, unknown>> | null) => [
      window,
      ...['id', 'operation', 'outcome', 'count'].map((member) => String(rule?.[member] ?? '')),
    ])
  })
  return table('Events that policy kept out', ['time', 'rule', 'operation', 'outcome', 'events'], rows)
}

function shortTime(time: unknown): string {
  return typeof time === 'string' ? time.slice(0, 19) : ''
}

function recordRow({ members, sequence, proof }: EvidenceRecord): string[] {
  const { timestamp = '', outcome = '', action = '', actor, target } = members
  return [
    timestamp.slice(0, 23),
    `${sequence}`,
    outcome,
    referenceOf(actor, 'type'),
    action,
    referenceOf(target, 'resource_type'),
    proof === undefined ? 'none' : 'yes',
  ]
}

function referenceOf(reference: Readonly<Record<string, unknown>> | undefined, typeMember: string): string {
  return [reference?.[typeMember], reference?.id].filter((part) => typeof part === 'string').join(':')
}

function table(title: string, columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const heading = `<h2>${text(title)}</h2>`
  if (rows.length === 0) return `<p class="none">${text(title)}: none</p>`
  const head = columns.map((column) => `<th>${text(column)}</th>`).join('')
  const lines = rows.map((row) => `<tr>${row.map((cell) => `<td>${text(cell)}</td>`).join('')}</tr>`)
  return `${heading}\n<table>\n<thead><tr>${head}</tr></thead>\n<tbody>\n${lines.join('\n')}\n</tbody>\n</table>`
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** As text of a page; control and direction characters, which could make it read as something else, are shown by code. */
function text(value: string): string {
  const shown = value.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (one) => `\\u{${one.codePointAt(0)?.toString(16)}}`)
  return shown.replace(/[&<>"']/g, (one) => entities[one] ?? one)
}

const style = `
body{font:11pt/1.45 "Liberation Serif",Georgia,serif;color:#111;margin:2rem auto;max-width:60rem;padding:0 1rem}
h1{font-size:1.7rem;margin:0 0 .5rem}h2,.none{margin:1.2rem 0 .4rem}.none{color:#444}h2{font-size:1.1rem;margin:1.6rem 0 .4rem;break-after:avoid}
.verdict{border:2px solid;padding:.6rem .8rem}.sound{border-color:#1b6e3c}.unsound{border-color:#a01818}
table{border-collapse:collapse;width:100%;font-size:.82rem}th,td{border:1px solid #bbb;padding:.2rem .4rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}
th{background:#eee}thead{display:table-header-group}tr{break-inside:avoid}code{font-size:.9em}
@page{margin:15mm}@media print{body{margin:0;max-width:none;font-size:9.5pt}}`

/**
 * Every limit of the product, in one place. Formats depend on the first group: those values are frozen
 * with record version 1 (docs/formats.md). The others may change with a measurement.
 */

/** Longest canonical record, in bytes; an entry of a standard tile archive holds 65,535. */
export const recordBytesMax = 49_152
/** Deepest nesting of an event; deeper values become `{"truncated":"depth"}`. */
export const depthMax = 32
/** Most characters converted of one event, each value counting 256 more; no record could hold the rest. */
export const eventSizeMax = 4 * 2 ** 20
/** Most keys kept of one container; the rest is counted under `…`. */
export const containerKeysMax = 1_000
/** Longest identifier (`actor.id`, `target.id`, `tenant`, `action`, `correlation_id`, …), in bytes. */
export const identifierBytesMax = 512
/** Longest user agent, in bytes. */
export const userAgentBytesMax = 1_024
/** Longest error message or reason, in bytes. */
export const messageBytesMax = 4_096
/** Longest text left in a record that no other trimming could make fit, in bytes. */
export const trimmedTextBytesMax = 128
/** Most findings listed in one record's `validation`. */
export const validationsMax = 32
/** Most redaction receipts of one record that name a place; the rest is added up by rule. */
export const receiptsMax = 64
/** Most of them by one rule. */
export const receiptsPerRuleMax = 32
/** Longest place that a receipt names, in UTF-16 units. */
export const receiptPointerMax = 256
/** Most personal values of one event that are committed to; a further one is taken out without a commitment. */
export const commitmentsMax = 64
/** Longest place of such a value, in UTF-16 units, as JSON writes it. */
export const commitmentPointerMax = 192
/** Longest disclosures of one event, in bytes. */
export const disclosuresBytesMax = 65_536
/** Longest binary value kept whole as base64, in bytes. */
export const binaryBytesMax = 256
/** How far a checkpoint may lie behind the record that carries it. */
export const checkpointLagMax = 65_536
/** How far the clock may step back before a new stream starts, in milliseconds. */
export const clockBackMsMax = 60_000

/** A checkpoint is made after this many uncovered records … */
export const checkpointRecords = 256
/** … or after this time, in milliseconds, whichever comes first. */
export const checkpointIntervalMs = 1_000
/** Most signatures read from one note (C2SP signed-note). */
export const noteSignaturesMax = 100

/** From this part of its budget on a spool says that it is filling up. */
export const spoolFillingShare = 0.7
/** Where a segment is full and the next one is taken, in bytes. */
export const segmentBytesMax = 64 * 2 ** 20
/** The unit that a power cut may damage whole, in bytes. */
export const sectorBytes = 512

/** Largest request body sent to a destination, in bytes (a collector refuses 20 MiB with 400). */
export const batchBytesMax = 4 * 2 ** 20
/** Most records sent in one batch unless a destination says otherwise. */
export const batchRecordsMax = 500
/** Longest pause between two tries of a failing destination, in milliseconds. */
export const retryDelayMsMax = 60_000

/** How long `close` waits for what should take no time, the disk and the threads, in milliseconds, each time. */
export const stopMsMax = 5_000
/** How long a process that ends waits for its last sync, in milliseconds. */
export const lastSyncMsMax = 5_000

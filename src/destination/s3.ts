/**
 * Delivery to S3, or what speaks its language: a batch is an object of NDJSON, compressed. Always holds: an object is
 * put only where none is (`If-None-Match: *`), so nothing is ever overwritten; a batch that was put already is read back
 * and compared, equal is delivered and different is a fork; `delivered` means that the server has confirmed the object,
 * whose checksum it was given. The SDK's own retries are off.
 */

import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3'
import { leafHash } from '../chain/hash.ts'
import { nowMs } from '../clock.ts'
import { errorText } from '../errors.ts'
import type { StoredRecord } from '../event/record.ts'
import { recordBytesMax } from '../limits.ts'
import { attempt } from './attempt.ts'
import { compress, decompress } from './compression.ts'
import type { Batch, Delivery, Destination, HeadReading, StreamHead } from './destination.ts'
import { encodeLines, splitLines } from './lines.ts'
import { loadPeer } from './optional-module.ts'
import type { S3DestinationOptions } from './options.ts'
import { parseRetryAfter } from './post.ts'
import { cutRuns } from './runs.ts'
import { findHead } from './s3-head.ts'
import { objectKey } from './s3-key.ts'

const timeoutMsDefault = 30_000
/** What compression can add to a text that it cannot shorten. */
const compressionBytesMax = 1_024

type Sdk = typeof import('@aws-sdk/client-s3')

/** A destination that puts each batch as an object. Rejects with AuditError MODULE_NOT_FOUND without the SDK. */
export async function createS3Destination(options: S3DestinationOptions): Promise<Destination> {
  const sdk = await loadPeer('s3', () => import('@aws-sdk/client-s3'))
  return new S3Destination(options, sdk)
}

class S3Destination implements Destination {
  readonly name: string
  /** The key is made of the bounds of the batch. */
  readonly repeatsBatches = true
  readonly #options: S3DestinationOptions
  readonly #sdk: Sdk
  readonly #client: S3Client
  readonly #timeoutMs: number

  constructor(options: S3DestinationOptions, sdk: Sdk) {
    this.name = options.name ?? 's3'
    this.#options = options
    this.#sdk = sdk
    this.#client = new sdk.S3Client(clientConfig(options))
    this.#timeoutMs = options.timeoutMs ?? timeoutMsDefault
  }

  async send({ records }: Batch, signal: AbortSignal): Promise<Delivery> {
    try {
      for (const run of cutRuns(records)) {
        // In their order: what follows a fork must not be put.
        const fork = await attempt({ signal, timeoutMs: this.#timeoutMs }, (limited) => this.#put(run.records, limited))
        if (fork !== undefined) return rejectFork(fork, run.start + fork.index)
      }
      return { status: 'delivered' }
    } catch (thrown) {
      return this.#describe(thrown, signal)
    }
  }

  async head(stream: string, signal: AbortSignal): Promise<HeadReading> {
    try {
      const { bucket, prefix = '' } = this.#options
      const list = async (startAfter: string, limited: AbortSignal) => {
        const command = new this.#sdk.ListObjectsV2Command({
          Bucket: bucket,
          Prefix: `${prefix}${stream}/`,
          StartAfter: startAfter,
          MaxKeys: 1,
        })
        const { Contents = [] } = await this.#client.send(command, { abortSignal: limited })
        return Contents[0]?.Key
      }
      const head = await attempt({ signal, timeoutMs: this.#timeoutMs }, (limited) =>
        findHead({ prefix, stream }, (startAfter) => list(startAfter, limited)),
      )
      return { status: 'known', head }
    } catch (thrown) {
      return this.#describe(thrown, signal)
    }
  }

  async close(): Promise<void> {
    this.#client.destroy()
  }

  /** Puts one object; names the fork when another stands in its place. */
  async #put(records: readonly StoredRecord[], signal: AbortSignal): Promise<Fork | undefined> {
    const { bucket, prefix = '', compression = 'gzip', storageClass, serverSideEncryption, objectLock } = this.#options
    const key = objectKey(prefix, records, compression)
    const lines = encodeLines(records)
    const command = new this.#sdk.PutObjectCommand({
      Bucket: bucket,
      Key: key,
      Body: await compress(lines, compression),
      IfNoneMatch: '*',
      ContentType: mediaTypes[compression],
      ChecksumAlgorithm: 'CRC32',
      ...(storageClass !== undefined && { StorageClass: storageClass as 'STANDARD' }),
      ...(serverSideEncryption !== undefined && {
        ServerSideEncryption: serverSideEncryption.algorithm,
        SSEKMSKeyId: serverSideEncryption.kmsKeyId,
      }),
      ...(objectLock !== undefined && {
        ObjectLockMode: objectLock.mode,
        ObjectLockRetainUntilDate: new Date(nowMs() + objectLock.days * 86_400_000),
      }),
    })
    try {
      await this.#client.send(command, { abortSignal: signal })
      return undefined
    } catch (thrown) {
      if (statusOf(thrown) !== 412) throw thrown
      return findFork(await this.#read(key, lines.length + recordBytesMax, signal), records)
    }
  }

  /** The content of an object; `undefined` when it is much longer than what was looked for, or compressed otherwise. */
  async #read(key: string, bytesMax: number, signal: AbortSignal): Promise<Buffer | undefined> {
    const command = new this.#sdk.GetObjectCommand({ Bucket: this.#options.bucket, Key: key })
    const { Body, ContentLength = 0 } = await this.#client.send(command, { abortSignal: signal })
    if (ContentLength > bytesMax + compressionBytesMax) {
      await Body?.transformToWebStream().cancel()
      return undefined
    }
    const stored = Buffer.from((await Body?.transformToByteArray()) ?? [])
    return decompress(stored, this.#options.compression ?? 'gzip', bytesMax)
  }

  #describe(thrown: unknown, signal: AbortSignal): Extract<Delivery, { status: 'retry' }> {
    if (signal.aborted) return { status: 'retry', reason: 'stopped' }
    const status = statusOf(thrown)
    const what =
      thrown instanceof this.#sdk.S3ServiceException ? `${thrown.name}: ${thrown.message}` : errorText(thrown)
    const reason = `s3://${this.#options.bucket}: ${status === undefined ? '' : `HTTP ${status} `}${what}`
    return { status: 'retry', reason, afterMs: parseRetryAfter(headerOf(thrown, 'retry-after'), nowMs()) }
  }
}

const mediaTypes = { gzip: 'application/gzip', zstd: 'application/zstd', none: 'application/x-ndjson' } as const

/** One try a request; credentials and region as the SDK finds them where they are not given. */
function clientConfig(options: S3DestinationOptions): S3ClientConfig {
  const { region, endpoint, forcePathStyle, accessKeyId, secretAccessKey, sessionToken } = options
  return {
    maxAttempts: 1,
    ...(region !== undefined && { region }),
    ...(endpoint !== undefined && { endpoint }),
    ...(forcePathStyle !== undefined && { forcePathStyle }),
    ...(accessKeyId !== undefined &&
      secretAccessKey !== undefined && {
        credentials: { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) },
      }),
  }
}

interface Fork {
  readonly index: number
  readonly held: StreamHead
}

/** The first record that the object holds otherwise; `undefined` when it holds the same. */
function findFork(held: Buffer | undefined, records: readonly StoredRecord[]): Fork | undefined {
  if (held?.equals(encodeLines(records))) return undefined
  const lines = held === undefined ? [] : splitLines(held)
  // Where every record is there and more besides, the object as a whole is another.
  const index = Math.max(
    0,
    records.findIndex(({ bytes }, at) => lines[at]?.equals(bytes) !== true),
  )
  const line = lines[index]
  const sequence = records[index]?.sequence ?? 0
  return { index, held: { sequence, hash: line === undefined ? undefined : leafHash(line) } }
}

function rejectFork({ held }: Fork, index: number): Delivery {
  const reason = `fork: the object that should hold record ${held.sequence} holds something else`
  return { status: 'rejected', reason, forked: { index, held } }
}

function statusOf(thrown: unknown): number | undefined {
  return (thrown as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata?.httpStatusCode
}

function headerOf(thrown: unknown, name: string): string | undefined {
  return (thrown as { $response?: { headers?: Record<string, string> } } | undefined)?.$response?.headers?.[name]
}

/**
 * An archive in a bucket of S3, or of what speaks its language. Always holds: an object has its whole content or none, and
 * is durable when the server has confirmed it, whose checksum it was given; several are under way at a time, and `sync`
 * waits for them. What names the others is replaced only while it is what was read (`If-Match`). Needs no right to delete:
 * what may not be removed stays, and nothing names it.
 */

import { findPackageJSON } from 'node:module'
import type { S3Client } from '@aws-sdk/client-s3'
import { AuditError, errorCode, errorText } from '../errors.ts'
import type { ArchiveStore } from './store.ts'

/** A place in a bucket. */
export interface BucketPlace {
  /** For people. */
  readonly name: string
  readonly bucket: string
  /** Empty, or ends with a slash. */
  readonly prefix: string
  readonly region?: string
  readonly endpoint?: string
  readonly forcePathStyle: boolean
}

/** Objects under way at a time. */
const writesMax = 16
/** Bounds on waiting for the server, in milliseconds: for a connection, and for the next bytes. */
const waiting = { connectionTimeout: 10_000, socketTimeout: 60_000 }
const refusedConditions = new Set([409, 412])

type Sdk = typeof import('@aws-sdk/client-s3')

/** Credentials, region and endpoint as the SDK finds them, where the place does not say. Asks nothing of the server. */
export async function openBucket(place: BucketPlace): Promise<ArchiveStore> {
  return new Bucket(place, await loadSdk(place))
}

/** Throws MODULE_NOT_FOUND where the SDK is not installed; loads nothing. `base`: whose packages are meant; ours. */
export function checkBucketSdk(place: BucketPlace, base: string = import.meta.url): void {
  try {
    if (findPackageJSON('@aws-sdk/client-s3', base) !== undefined) return
  } catch (cause) {
    throw lackingSdk(place, cause) // how Node says that there is none
  }
  throw lackingSdk(place)
}

async function loadSdk(place: BucketPlace): Promise<Sdk> {
  try {
    return await import('@aws-sdk/client-s3')
  } catch (cause) {
    throw errorCode(cause) === 'ERR_MODULE_NOT_FOUND' ? lackingSdk(place, cause) : cause
  }
}

function lackingSdk({ name }: BucketPlace, cause?: unknown): AuditError {
  const hint = 'Install it: npm install @aws-sdk/client-s3'
  const message = `the archive ${name} needs the package @aws-sdk/client-s3, which is not installed`
  return new AuditError('MODULE_NOT_FOUND', message, { setting: name, hint, cause })
}

class Bucket implements ArchiveStore {
  readonly name: string
  readonly #place: BucketPlace
  readonly #sdk: Sdk
  readonly #client: S3Client
  /** By path; none of them rejects. */
  readonly #writing = new Map<string, Promise<void>>()
  #failure: unknown

  constructor(place: BucketPlace, sdk: Sdk) {
    const { name, region, endpoint, forcePathStyle } = place
    this.name = name
    this.#place = place
    this.#sdk = sdk
    this.#client = new sdk.S3Client({
      forcePathStyle,
      ...(region !== undefined && { region }),
      ...(endpoint !== undefined && { endpoint }),
      requestHandler: waiting,
    })
  }

  async read(path: string): Promise<Buffer | undefined> {
    return (await this.#get(path)).bytes
  }

  async write(path: string, bytes: Uint8Array): Promise<void> {
    while (this.#writing.size >= writesMax) await Promise.race(this.#writing.values())
    this.#throwFailure()
    const before = this.#writing.get(path)
    const writing = (async () => {
      await before
      await this.#put(path, bytes)
    })()
      .catch((thrown: unknown) => {
        this.#failure ??= thrown // the next write or sync throws it
      })
      .finally(() => {
        if (this.#writing.get(path) === writing) this.#writing.delete(path)
      })
    this.#writing.set(path, writing)
  }

  async replace(path: string, bytes: Uint8Array, held: Uint8Array | undefined): Promise<boolean> {
    const found = await this.#get(path)
    const isHeld = held === undefined ? found.bytes === undefined : found.bytes?.equals(held) === true
    if (!isHeld) return false
    try {
      await this.#put(path, bytes, found.etag === undefined ? { IfNoneMatch: '*' } : { IfMatch: found.etag })
      return true
    } catch (thrown) {
      if (refusedConditions.has(statusOf(thrown) ?? 0)) return false
      throw thrown
    }
  }

  async remove(path: string): Promise<void> {
    try {
      await this.#client.send(new this.#sdk.DeleteObjectCommand(this.#object(path)))
    } catch (thrown) {
      if (statusOf(thrown) !== 403) throw this.#describe(thrown)
    }
  }

  async sync(): Promise<void> {
    await Promise.all(this.#writing.values())
    this.#throwFailure()
  }

  async list(folder = ''): Promise<string[]> {
    const { bucket: Bucket, prefix } = this.#place
    const Prefix = folder === '' ? prefix : `${prefix}${folder}/`
    const names: string[] = []
    const listing = { Bucket, Prefix, Delimiter: '/' }
    try {
      for await (const page of this.#sdk.paginateListObjectsV2({ client: this.#client }, listing))
        names.push(
          ...(page.CommonPrefixes ?? []).map((one) => (one.Prefix ?? '').slice(Prefix.length, -1)),
          ...(page.Contents ?? []).map(({ Key = '' }) => Key.slice(Prefix.length)),
        )
    } catch (thrown) {
      throw this.#describe(thrown)
    }
    return names.sort()
  }

  #object(path: string): { Bucket: string; Key: string } {
    return { Bucket: this.#place.bucket, Key: `${this.#place.prefix}${path}` }
  }

  async #get(path: string): Promise<{ bytes?: Buffer; etag?: string | undefined }> {
    await this.#writing.get(path)
    try {
      const { Body, ETag } = await this.#client.send(new this.#sdk.GetObjectCommand(this.#object(path)))
      return { bytes: Buffer.from((await Body?.transformToByteArray()) ?? []), etag: ETag }
    } catch (thrown) {
      if (statusOf(thrown) === 404 && !(thrown instanceof this.#sdk.NoSuchBucket)) return {}
      throw this.#describe(thrown)
    }
  }

  async #put(path: string, bytes: Uint8Array, condition: { IfMatch?: string; IfNoneMatch?: string } = {}) {
    const object = { ...this.#object(path), Body: bytes, ChecksumAlgorithm: 'CRC32' as const, ...condition }
    try {
      await this.#client.send(new this.#sdk.PutObjectCommand(object))
    } catch (thrown) {
      throw this.#describe(thrown)
    }
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  #describe(thrown: unknown): AuditError {
    const status = statusOf(thrown)
    const what =
      thrown instanceof this.#sdk.S3ServiceException ? `${thrown.name}: ${thrown.message}` : errorText(thrown)
    return new AuditError('ARCHIVE_FAILED', `${this.name}: ${status === undefined ? '' : `HTTP ${status} `}${what}`, {
      setting: this.name,
      hint: 'check bucket, region, endpoint and credentials: AWS_REGION, AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or a profile or role',
      cause: thrown,
    })
  }
}

/** Of the server's answer, wherever it stands in the chain of causes. */
function statusOf(thrown: unknown): number | undefined {
  const { $metadata, cause } = (thrown ?? {}) as { $metadata?: { httpStatusCode?: number }; cause?: unknown }
  return $metadata?.httpStatusCode ?? (cause === undefined ? undefined : statusOf(cause))
}

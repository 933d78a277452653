/** A bucket of a real S3 server, and the records in it. */

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { GetObjectCommand, paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3'
import { type S3Address, startVersitygw, versitygwBinary } from '../../test/parts/versitygw.ts'
import type { Stage } from '../stage/example.ts'

/** Starts the server; `undefined` where it has not been built. */
export async function startBucket({ dir, running }: Stage): Promise<S3Address | undefined> {
  if (versitygwBinary() === undefined) return undefined
  const folder = join(dir, 's3')
  mkdirSync(folder)
  const server = await startVersitygw(folder)
  running.defer(() => server.stop())
  return server.address
}

/** Every record in the bucket, in the order of the keys, which is that of the trail. */
export async function readBucket({ endpoint, region, bucket, ...credentials }: S3Address): Promise<string[]> {
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true })
  const lines: string[] = []
  for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket: bucket })) {
    for (const { Key } of Contents) {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key })) // in the order of the keys
      const object = gunzipSync((await Body?.transformToByteArray()) ?? '')
      lines.push(...object.toString().split('\n').slice(0, -1))
    }
  }
  client.destroy()
  return lines
}

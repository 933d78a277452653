/**
 * Where an archive lies, as a user names it: a folder by its path, or a place in a bucket,
 *   s3://BUCKET[/PREFIX][?region=REGION][&endpoint=URL][&forcePathStyle=false]
 * The bucket stands in the path of requests unless that is refused: every server of this kind understands it. No
 * credentials stand in it, for it is printed and sealed.
 */

import { AuditError } from '../errors.ts'
import { type BucketPlace, checkBucketSdk, openBucket } from './bucket.ts'
import { type ArchiveStore, openFolder } from './store.ts'

const members = ['region', 'endpoint', 'forcePathStyle']

export function isBucketUrl(location: string): boolean {
  return /^s3:\/\//i.test(location)
}

/** Rejects with INVALID_OPTION for a URL that names no bucket, MODULE_NOT_FOUND without the SDK of S3. Reads nothing. */
export async function openArchive(location: string, setting: string): Promise<ArchiveStore> {
  return isBucketUrl(location) ? openBucket(parseBucketUrl(location, setting)) : openFolder(location)
}

/** Throws what `openArchive` would reject with; loads and reads nothing. */
export function checkArchive(location: string, setting: string): void {
  if (isBucketUrl(location)) checkBucketSdk(parseBucketUrl(location, setting))
}

/** Throws INVALID_OPTION, of `setting`. */
export function parseBucketUrl(location: string, setting: string): BucketPlace {
  const url = URL.parse(location)
  if (url === null || !/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(url.hostname))
    throw refused(setting, location, 'names no bucket')
  if (url.username !== '' || url.password !== '')
    throw refused(setting, `s3://…@${url.host}${url.pathname}`, 'holds credentials, and it is printed and sealed')
  for (const [member, value] of url.searchParams) {
    if (!members.includes(member)) throw refused(setting, location, `has ${member}; allowed: ${members.join(', ')}`)
    if (member === 'endpoint' && !/^https?:\/\//.test(value))
      throw refused(setting, location, `has the endpoint ${value}; allowed: a URL with http or https`)
    if (member === 'forcePathStyle' && !['true', 'false'].includes(value))
      throw refused(setting, location, `has forcePathStyle=${value}; allowed: true, false`)
  }
  const [region, endpoint] = [url.searchParams.get('region'), url.searchParams.get('endpoint')]
  const path = decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, '')
  return {
    name: `s3://${url.hostname}${path === '' ? '' : `/${path}`}`,
    bucket: url.hostname,
    prefix: path === '' ? '' : `${path}/`,
    ...(region !== null && { region }),
    ...(endpoint !== null && { endpoint }),
    forcePathStyle: url.searchParams.get('forcePathStyle') !== 'false',
  }
}

function refused(setting: string, location: string, why: string): AuditError {
  return new AuditError('INVALID_OPTION', `${setting} ${location} ${why}`, {
    setting,
    hint: 'write s3://bucket/prefix; credentials, region and endpoint come from the environment (AWS_ACCESS_KEY_ID, AWS_REGION, AWS_ENDPOINT_URL_S3), a profile or a role',
  })
}

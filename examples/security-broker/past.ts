/**
 * A time that is over, for an example that cannot wait for it: programs run as they are, and are told that it is a
 * hundred days ago, by Node's clock and by functions that stand before PostgreSQL's own.
 */

import { queryOnce } from '../../test/support/postgres.ts'

export const pastDays = 100

/** For Node's command line. */
export const pastOptions = [
  '--import',
  `data:text/javascript,${encodeURIComponent(`
    const now = Date.now
    Date.now = () => now() - ${pastDays} * 86_400_000`)}`,
]

/** A database as it was then: the URL for programs that run in the past. */
export async function enterPast(url: string): Promise<string> {
  const ago = `interval '${pastDays} days'`
  await queryOnce(
    url,
    `create schema past;
     create function past.clock_timestamp() returns timestamptz language sql
       as $$ select pg_catalog.clock_timestamp() - ${ago} $$;
     create function past.now() returns timestamptz language sql as $$ select pg_catalog.now() - ${ago} $$;
     select audit.ensure_partition(now() - ${ago})`,
  )
  const past = new URL(url)
  past.searchParams.set('options', '-c search_path=past,pg_catalog,public')
  return past.href
}

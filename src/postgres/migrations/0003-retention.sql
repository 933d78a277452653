-- breaking: no
--
-- Retention: what was removed from audit.record and stays provable, what must not be removed, and partitions on their
-- way out.

-- One row a range of records that left the table, kept for ever. Until sealed_at is set nothing of it was removed.
create table audit.partition (
  id bigint generated always as identity primary key,
  stream uuid not null,
  from_seq bigint not null,
  to_seq bigint not null,
  recorded_from timestamptz not null,
  recorded_to timestamptz not null,
  -- Leaf hash of the record to_seq.
  hash bytea not null,
  -- The tree of the stream's first to_seq records: its root, and the roots of its perfect subtrees, largest first. Null
  -- where the stream began here later than with its first record and no checkpoint of it was seen before to_seq.
  root bytea,
  tree bytea[],
  -- Where the records are.
  archive text,
  closed_at timestamptz not null default now(),
  -- An audit.pruned record says so, and has arrived here.
  sealed_at timestamptz,
  -- Nothing of the range is left in the table.
  removed_at timestamptz,
  unique (stream, from_seq),
  check (from_seq <= to_seq)
);

create index partition_pending on audit.partition (stream, from_seq) where removed_at is null;

-- Records that match every criterion that is set are not removed while released_at is null.
create table audit.legal_hold (
  id bigint generated always as identity primary key,
  stream uuid,
  tenant text,
  actor_id text,
  target_type text,
  target_id text,
  happened_from timestamptz,
  happened_to timestamptz,
  reason text not null,
  placed_by text not null,
  placed_at timestamptz not null default now(),
  released_by text,
  released_at timestamptz,
  release_reason text
);

-- Partitions that are detached, or about to be, and will be dropped. Whoever finds one goes on with it.
create table audit.retiring (
  partition text primary key,
  started_at timestamptz not null default now()
);

-- Whether a sealed statement says that this record was removed: what may be deleted, and nothing else.
create function audit.is_pruned(of_stream uuid, of_seq bigint) returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select exists (
    select from audit.partition p
    where p.stream = of_stream and p.from_seq <= of_seq and of_seq <= p.to_seq and p.sealed_at is not null
  )
$$;

-- Up to where every destination of `otel-audit forward --postgres` has confirmed a stream; null where none follows it.
create function audit.exported_to(of_stream uuid) returns bigint
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select min(case when at.number > own.number then null when at.number = own.number then c.seq else 0 end)
    from audit.journal_stream own
    cross join audit.sink_cursor c
    left join audit.journal_stream at on at.stream = c.stream
    where own.stream = of_stream
  );
end
$$;

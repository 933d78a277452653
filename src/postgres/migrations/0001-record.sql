-- breaking: no
--
-- Sealed records and the heads of their streams. The truth is audit.record.record, the bytes as sealed; every
-- other column of it is derived from them (src/postgres/projection.ts) and recomputed by `otel-audit verify`.

create schema audit;

create table audit.migration (
  number integer primary key,
  name text not null,
  checksum bytea not null,
  breaking boolean not null,
  applied_at timestamptz not null default now()
);

-- There is no default partition: it would make every later attach scan it under a lock.
create table audit.record (
  record bytea not null,
  stream uuid not null,
  seq bigint not null,
  -- leaf hash: sha-256(0x00 || record)
  hash bytea not null,
  prev_hash bytea,
  event_type text,
  record_id uuid,
  -- When it was sealed; when it arrived here, if that cannot be derived.
  recorded_at timestamptz not null,
  -- When it happened.
  occurred_at timestamptz,
  action text,
  operation text,
  level text,
  outcome text,
  actor_type text,
  actor_id text,
  target_type text,
  target_id text,
  tenant text,
  session text,
  correlation_id text,
  trace_id uuid,
  span_id text,
  service text,
  error_class text,
  -- Columns whose value in the record has no form in their type; null when there are none.
  underived text[],
  -- Partitioning demands recorded_at in the key. That (stream, seq) is unique is kept by audit.append.
  primary key (stream, seq, recorded_at)
) partition by range (recorded_at);

create index record_trace_id on audit.record (trace_id) where trace_id is not null;
create index record_correlation_id on audit.record (correlation_id) where correlation_id is not null;

-- Where each stream ends here. Whoever appends to a stream holds the lock on its row.
create table audit.stream_head (
  stream uuid primary key,
  seq bigint not null,
  -- Null only before the first record of a stream.
  hash bytea,
  recorded_at timestamptz,
  -- The first record of the stream that came here.
  first_seq bigint not null
) with (fillfactor = 50);

-- Makes the monthly partition (UTC) that holds a time; true if it was not there. Blocks no insert and no query:
-- the new table is attached, under a lock that only other changes of the table wait for.
create function audit.ensure_partition(at timestamptz) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
declare
  month_from constant timestamptz := date_trunc('month', at);
  month_to constant timestamptz := month_from + interval '1 month';
  partition constant text := 'record_' || to_char(month_from, 'YYYY_MM');
begin
  if to_regclass('audit.' || partition) is not null then
    return false;
  end if;
  -- One maker at a time. Whoever waited looks again, in the catalog itself: to_regclass answers from a cache that
  -- waiting for an advisory lock does not refresh.
  perform pg_advisory_xact_lock(hashtextextended('audit.ensure_partition', 0));
  if exists (select from pg_class where relnamespace = 'audit'::regnamespace and relname = partition) then
    return false;
  end if;
  execute format('create table audit.%I (like audit.record including all)', partition);
  -- The check lets attach skip its scan, and detach concurrently needs the same one later.
  execute format(
    'alter table audit.%I add constraint recorded_at_month check (recorded_at >= %L and recorded_at < %L)',
    partition, month_from, month_to
  );
  execute format(
    'alter table audit.record attach partition audit.%I for values from (%L) to (%L)',
    partition, month_from, month_to
  );
  return true;
end
$$;

-- Appends sealed records, in any number of streams, each stream on its own and all or nothing:
--   appended  what lies above the head was inserted, the rest was there already with the same hash
--   fork      another record is held at refused_seq, or the record there does not follow the held head
--   gap       records between the head and refused_seq are missing
--   lost      refused_seq lies below the head, but its record is not held (any more)
-- A stream that is new here may start anywhere. The records of one stream must follow one another. One array per
-- column; underived holds the names joined by commas. The commit waits for the disk, whatever the default is.
create function audit.append(
  records bytea[],
  streams uuid[],
  seqs bigint[],
  hashes bytea[],
  prev_hashes bytea[],
  event_types text[],
  record_ids uuid[],
  recorded_ats timestamptz[],
  occurred_ats timestamptz[],
  actions text[],
  operations text[],
  levels text[],
  outcomes text[],
  actor_types text[],
  actor_ids text[],
  target_types text[],
  target_ids text[],
  tenants text[],
  sessions text[],
  correlation_ids text[],
  trace_ids uuid[],
  span_ids text[],
  services text[],
  error_classes text[],
  underiveds text[]
) returns table (
  stream uuid,
  status text,
  inserted bigint,
  skipped bigint,
  head_seq bigint,
  refused_seq bigint,
  held_hash bytea,
  sent_hash bytea
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  appending uuid;
  head audit.stream_head;
  first record;
  next record;
  last record;
  refused record;
  already bigint;
  added bigint;
begin
  if current_setting('synchronous_commit') not in ('on', 'remote_apply') then
    perform set_config('synchronous_commit', 'on', true);
  end if;
  perform set_config('lock_timeout', '10s', true);

  -- Always in the same order: two batches with the same streams cannot deadlock.
  for appending in select distinct u.stream from unnest(streams) as u (stream) order by u.stream loop
    select u.seq, u.prev_hash into first
    from unnest(streams, seqs, prev_hashes) as u (stream, seq, prev_hash)
    where u.stream = appending
    order by u.seq
    limit 1;

    select * into head from audit.stream_head h where h.stream = appending for update;
    if not found then
      insert into audit.stream_head (stream, seq, hash, first_seq)
      values (appending, first.seq - 1, first.prev_hash, first.seq)
      on conflict (stream) do nothing;
      select * into head from audit.stream_head h where h.stream = appending for update;
    end if;

    select count(*) into already
    from unnest(streams, seqs) as u (stream, seq)
    where u.stream = appending and u.seq <= head.seq;

    if already > 0 then
      select u.seq, r.hash as held_hash, u.hash as sent_hash into refused
      from unnest(streams, seqs, hashes) as u (stream, seq, hash)
      left join audit.record r on r.stream = u.stream and r.seq = u.seq
      where u.stream = appending and u.seq <= head.seq and r.hash is distinct from u.hash
      order by u.seq
      limit 1;
      if found then
        return query select
          appending, case when refused.held_hash is null then 'lost' else 'fork' end, 0::bigint, 0::bigint,
          head.seq, refused.seq, refused.held_hash, refused.sent_hash;
        continue;
      end if;
    end if;

    select u.seq, u.prev_hash, u.underived like '%prev_hash%' as unlinked into next
    from unnest(streams, seqs, prev_hashes, underiveds) as u (stream, seq, prev_hash, underived)
    where u.stream = appending and u.seq > head.seq
    order by u.seq
    limit 1;

    if not found then
      return query select
        appending, 'appended', 0::bigint, already, head.seq, null::bigint, null::bytea, null::bytea;
      continue;
    end if;
    if next.seq <> head.seq + 1 then
      return query select
        appending, 'gap', 0::bigint, 0::bigint, head.seq, next.seq, head.hash, next.prev_hash;
      continue;
    end if;
    if next.prev_hash is distinct from head.hash and next.unlinked is not true then
      return query select
        appending, 'fork', 0::bigint, 0::bigint, head.seq, next.seq, head.hash, next.prev_hash;
      continue;
    end if;

    insert into audit.record (
      record, stream, seq, hash, prev_hash, event_type, record_id, recorded_at, occurred_at, action, operation,
      level, outcome, actor_type, actor_id, target_type, target_id, tenant, session, correlation_id, trace_id,
      span_id, service, error_class, underived
    )
    select
      u.record, u.stream, u.seq, u.hash, u.prev_hash, u.event_type, u.record_id, coalesce(u.recorded_at, now()),
      u.occurred_at, u.action, u.operation, u.level, u.outcome, u.actor_type, u.actor_id, u.target_type,
      u.target_id, u.tenant, u.session, u.correlation_id, u.trace_id, u.span_id, u.service, u.error_class,
      string_to_array(u.underived, ',')
    from unnest(
      records, streams, seqs, hashes, prev_hashes, event_types, record_ids, recorded_ats, occurred_ats, actions,
      operations, levels, outcomes, actor_types, actor_ids, target_types, target_ids, tenants, sessions,
      correlation_ids, trace_ids, span_ids, services, error_classes, underiveds
    ) as u (
      record, stream, seq, hash, prev_hash, event_type, record_id, recorded_at, occurred_at, action, operation,
      level, outcome, actor_type, actor_id, target_type, target_id, tenant, session, correlation_id, trace_id,
      span_id, service, error_class, underived
    )
    where u.stream = appending and u.seq > head.seq;
    get diagnostics added = row_count;

    select u.seq, u.hash, u.recorded_at into last
    from unnest(streams, seqs, hashes, recorded_ats) as u (stream, seq, hash, recorded_at)
    where u.stream = appending
    order by u.seq desc
    limit 1;
    update audit.stream_head h
    set seq = last.seq, hash = last.hash, recorded_at = coalesce(last.recorded_at, now())
    where h.stream = appending;

    return query select appending, 'appended', added, already, last.seq, null::bigint, null::bytea, null::bytea;
  end loop;
end
$$;

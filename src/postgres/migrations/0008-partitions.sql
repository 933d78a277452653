-- breaking: no
--
-- Partitions by month, week or day, or one for all; records that retention has removed and that come again, delivered once
-- more or restored for a time.

-- How the partitions to come are cut.
create table audit.partitioning (
  is_only boolean primary key default true check (is_only),
  mode text not null default 'monthly' check (mode in ('monthly', 'weekly', 'daily', 'none'))
);

insert into audit.partitioning default values;

-- Records of the range are here again until then; retention takes them out again.
alter table audit.partition add column restored_until timestamptz;

-- The partitions and what they hold: from low to before high, infinite where there is no bound.
create function audit.list_partitions() returns table (name text, low timestamptz, high timestamptz, is_leaving boolean)
language sql
stable
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO'
as $$
  select c.relname::text,
    coalesce(substring(pg_get_expr(c.relpartbound, c.oid) from 'FROM \(''([^'']+)''\)')::timestamptz, '-infinity'),
    coalesce(substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \(''([^'']+)''\)')::timestamptz, 'infinity'),
    i.inhdetachpending
  from pg_inherits i
  join pg_class c on c.oid = i.inhrelid
  where i.inhparent = 'audit.record'::regclass
$$;

-- As before, and cut as audit.partitioning says: makes the partition of a time if none holds it; true if it was made. Where
-- it was cut otherwise before, a new one fills what is left between its neighbours.
create or replace function audit.ensure_partition(at timestamptz) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
declare
  cut text;
  begins timestamptz := '-infinity';
  ends timestamptz := 'infinity';
  base text := 'record_all';
  partition text;
  searched text;
begin
  if exists (select from audit.list_partitions() p where p.low <= at and at < p.high and not p.is_leaving) then
    return false;
  end if;
  -- One maker at a time. Whoever waited looks again.
  perform pg_advisory_xact_lock(hashtextextended('audit.ensure_partition', 0));
  if exists (select from audit.list_partitions() p where p.low <= at and at < p.high and not p.is_leaving) then
    return false;
  end if;
  select p.mode into cut from audit.partitioning p;
  if cut = 'daily' then
    begins := date_trunc('day', at);
    ends := begins + interval '1 day';
    base := 'record_' || to_char(begins, 'YYYY_MM_DD');
  elsif cut = 'weekly' then
    begins := date_trunc('week', at);
    ends := begins + interval '7 days';
    base := 'record_' || to_char(begins, 'IYYY"_w"IW');
  elsif cut = 'monthly' then
    begins := date_trunc('month', at);
    ends := begins + interval '1 month';
    base := 'record_' || to_char(begins, 'YYYY_MM');
  end if;
  select greatest(begins, max(p.high)) into begins from audit.list_partitions() p where p.high <= at;
  select least(ends, min(p.low)) into ends from audit.list_partitions() p where p.low > at;

  partition := base;
  for attempt in 2..1000 loop
    exit when not exists (select from pg_class where relnamespace = 'audit'::regnamespace and relname = partition);
    -- One of this name is on its way out: whoever takes it out comes back for what is late.
    if not exists (select from audit.list_partitions() p where p.name = partition and not p.is_leaving) then
      return false;
    end if;
    partition := base || '_' || attempt;
  end loop;

  execute format('create table audit.%I (like audit.record including all)', partition);
  perform audit.guard_partition(format('audit.%I', partition)::regclass);
  -- The check lets attach skip its scan, and detach concurrently needs the same one later.
  execute format(
    'alter table audit.%I add constraint recorded_at_range check (recorded_at >= %L and recorded_at < %L)',
    partition, begins, ends
  );
  execute format(
    'alter table audit.record attach partition audit.%I for values from (%s) to (%s)', partition,
    case begins when '-infinity' then 'minvalue' else quote_literal(begins) end,
    case ends when 'infinity' then 'maxvalue' else quote_literal(ends) end
  );
  if cut = 'none' then
    -- It is never over: what audit.index_closed_partition builds elsewhere is there from the beginning.
    foreach searched in array array['actor_id', 'target_id', 'action', 'tenant'] loop
      execute format(
        'create index %I on audit.%I (%I, recorded_at) where %I is not null',
        partition || '_' || searched || '_at', partition, searched, searched
      );
    end loop;
  end if;
  return true;
end
$$;

-- Makes the partitions of now and of the time to come: two more months, four more weeks, or seven more days.
create function audit.make_partitions_ahead() returns void
language sql
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
as $$
  select audit.ensure_partition(now() + step * ahead)
  from audit.partitioning p
  cross join lateral (
    select case p.mode when 'monthly' then interval '1 month' when 'weekly' then interval '7 days' else interval '1 day' end,
      case p.mode when 'monthly' then 2 when 'weekly' then 4 when 'daily' then 7 else 0 end
  ) as cut (step, most)
  cross join lateral generate_series(0, cut.most) as ahead
$$;

-- Chooses how the partitions to come are cut; those that are there stay.
create function audit.choose_partitioning(chosen text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if chosen <> 'none' and exists (select from audit.list_partitions() p where p.high = 'infinity') then
    raise exception 'one partition holds all that is to come: it cannot be cut any more'
      using errcode = 'object_not_in_prerequisite_state', hint = 'choose before the first otel-audit migrate up';
  end if;
  update audit.partitioning set mode = chosen;
end
$$;

revoke execute on function audit.list_partitions(), audit.ensure_partition(timestamptz), audit.make_partitions_ahead(),
  audit.choose_partitioning(text) from public;

-- As before; a record that retention has removed is not lost when it is delivered again: it is skipped. It is compared where
-- its hash is kept, at the end of what was removed.
create or replace function audit.advance_heads(
  streams uuid[],
  seqs bigint[],
  hashes bytea[],
  prev_hashes bytea[],
  recorded_ats timestamptz[],
  underiveds text[]
) returns table (
  stream uuid,
  status text,
  inserted bigint,
  skipped bigint,
  head_seq bigint,
  refused_seq bigint,
  held_hash bytea,
  sent_hash bytea,
  next_seq bigint
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

    select count(*) filter (where u.seq <= head.seq), count(*) filter (where u.seq > head.seq) into already, added
    from unnest(streams, seqs) as u (stream, seq)
    where u.stream = appending;

    if already > 0 then
      select u.seq, coalesce(r.hash, p.hash) as held_hash, u.hash as sent_hash into refused
      from unnest(streams, seqs, hashes) as u (stream, seq, hash)
      left join audit.record r on r.stream = u.stream and r.seq = u.seq
      left join audit.partition p
        on r.hash is null and p.stream = u.stream and p.to_seq = u.seq and p.sealed_at is not null
      where u.stream = appending and u.seq <= head.seq
        and coalesce(r.hash, p.hash) is distinct from u.hash
        and not (r.hash is null and p.hash is null and audit.is_pruned(u.stream, u.seq))
      order by u.seq
      limit 1;
      if found then
        return query select
          appending, case when refused.held_hash is null then 'lost' else 'fork' end, 0::bigint, 0::bigint,
          head.seq, refused.seq, refused.held_hash, refused.sent_hash, null::bigint;
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
        appending, 'appended', 0::bigint, already, head.seq, null::bigint, null::bytea, null::bytea, null::bigint;
      continue;
    end if;
    if next.seq <> head.seq + 1 then
      return query select
        appending, 'gap', 0::bigint, 0::bigint, head.seq, next.seq, head.hash, next.prev_hash, null::bigint;
      continue;
    end if;
    if next.prev_hash is distinct from head.hash and next.unlinked is not true then
      return query select
        appending, 'fork', 0::bigint, 0::bigint, head.seq, next.seq, head.hash, next.prev_hash, null::bigint;
      continue;
    end if;

    select u.seq, u.hash, u.recorded_at into last
    from unnest(streams, seqs, hashes, recorded_ats) as u (stream, seq, hash, recorded_at)
    where u.stream = appending
    order by u.seq desc
    limit 1;
    update audit.stream_head h
    set seq = last.seq, hash = last.hash, recorded_at = coalesce(last.recorded_at, now())
    where h.stream = appending;

    return query select
      appending, 'appended', added, already, last.seq, null::bigint, null::bytea, null::bytea, next.seq;
  end loop;
end
$$;

-- breaking: no
--
-- Appending in two ways that judge alike: audit.append in one statement, and audit.advance_heads followed by COPY of what
-- is new, in one transaction. COPY costs both sides less for a large batch; for a small one its round trips cost more.

-- Locks the heads of the streams of a batch, judges its records against them as audit.append says, and moves the heads of
-- those that may follow. The records from next_seq on are the caller's to insert before the transaction ends; null: none.
create function audit.advance_heads(
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
      select u.seq, r.hash as held_hash, u.hash as sent_hash into refused
      from unnest(streams, seqs, hashes) as u (stream, seq, hash)
      left join audit.record r on r.stream = u.stream and r.seq = u.seq
      where u.stream = appending and u.seq <= head.seq and r.hash is distinct from u.hash
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

-- As before; judged by audit.advance_heads.
create or replace function audit.append(
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
  judged record;
begin
  for judged in
    select * from audit.advance_heads(streams, seqs, hashes, prev_hashes, recorded_ats, underiveds)
  loop
    if judged.next_seq is not null then
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
      where u.stream = judged.stream and u.seq >= judged.next_seq;
    end if;
    return query select
      judged.stream, judged.status, judged.inserted, judged.skipped, judged.head_seq, judged.refused_seq,
      judged.held_hash, judged.sent_hash;
  end loop;
end
$$;

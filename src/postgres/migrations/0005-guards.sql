-- breaking: no
--
-- Guards: records are not changed, and not removed unless a sealed statement says so; heads are not removed. They stop
-- mistakes and whoever lacks the owner's rights. The owner and a superuser can take them away: `otel-audit doctor
-- --postgres` sees that, and `otel-audit verify` sees what was done meanwhile.

create function audit.refuse_change() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'DELETE' and tg_argv[0] = 'unless pruned' and audit.is_pruned(old.stream, old.seq) then
    return old;
  end if;
  raise exception '% is refused on %.%: sealed records stay as they are', lower(tg_op), tg_table_schema, tg_table_name
    using errcode = 'insufficient_privilege', hint = 'otel-audit retain removes what is past its retention';
end
$$;

create trigger refuse_update before update on audit.record for each row execute function audit.refuse_change();
create trigger refuse_delete before delete on audit.record
  for each row execute function audit.refuse_change('unless pruned');
create trigger refuse_truncate before truncate on audit.record
  for each statement execute function audit.refuse_change();
create trigger refuse_delete before delete on audit.stream_head
  for each row execute function audit.refuse_change();
create trigger refuse_truncate before truncate on audit.stream_head
  for each statement execute function audit.refuse_change();

-- Also for a session that calls itself a replica.
alter table audit.record enable always trigger refuse_update;
alter table audit.record enable always trigger refuse_delete;
alter table audit.record enable always trigger refuse_truncate;
alter table audit.stream_head enable always trigger refuse_delete;
alter table audit.stream_head enable always trigger refuse_truncate;

-- Triggers for rows come to partitions by themselves, those for statements do not.
create function audit.guard_partition(partition regclass) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  execute format(
    'create trigger refuse_truncate before truncate on %s for each statement execute function audit.refuse_change()',
    partition
  );
  execute format('alter table %s enable always trigger refuse_truncate', partition);
end
$$;

select audit.guard_partition(relid) from pg_partition_tree('audit.record') where isleaf and level > 0;

-- As before, and guarded; with the rights of its owner, so that whoever may only write can have a partition made.
create or replace function audit.ensure_partition(at timestamptz) returns boolean
language plpgsql
security definer
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
  perform audit.guard_partition(format('audit.%I', partition)::regclass);
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

revoke execute on function audit.ensure_partition(timestamptz), audit.guard_partition(regclass) from public;

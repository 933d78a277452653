-- breaking: no
--
-- For those who read: the view audit.event, the order of sealing as an index, and indexes for searches.

-- Every page of a query begins where the last one ended. New records come to its right end: it costs them little.
create index record_recorded_at on audit.record (recorded_at);

-- A record as jsonb, to look into what has no column of its own. Null where jsonb cannot hold it: the bytes can.
create function audit.record_json(record bytea) returns jsonb
language plpgsql
immutable
strict
set search_path = pg_catalog, pg_temp
as $$
begin
  return convert_from(record, 'UTF8')::jsonb;
exception when others then
  return null;
end
$$;

-- What happened, in readable columns; without what the trail records about itself.
create view audit.event as
select
  coalesce(r.occurred_at, r.recorded_at) as happened_at,
  r.recorded_at,
  r.action,
  r.operation,
  r.outcome,
  r.actor_type,
  r.actor_id,
  r.target_type,
  r.target_id,
  r.tenant,
  r.session,
  r.correlation_id,
  -- As uuid, so that the index serves: it is compared with 32 hex digits as well.
  r.trace_id,
  r.span_id,
  r.service,
  r.level,
  r.error_class,
  audit.record_json(r.record) as event,
  r.stream,
  r.seq,
  r.record_id,
  encode(r.hash, 'hex') as hash
from audit.record r
where coalesce(r.event_type, 'audit') = 'audit';

-- Builds what is missing of the search indexes on one partition that ended more than a day ago, and returns its name;
-- null when none lacks any. Where records still come in, these indexes would cost more than the records themselves.
create function audit.index_closed_partition() returns text
language plpgsql
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO'
as $$
declare
  closed record;
  searched text;
  index_name text;
  built boolean;
begin
  for closed in
    select c.oid, c.relname
    from pg_partition_tree('audit.record') as tree
    join pg_class c on c.oid = tree.relid
    where tree.isleaf and tree.level > 0 and c.relpersistence = 'p'
      and substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \(''([^'']+)''\)')::timestamptz < now() - interval '1 day'
    order by c.relname
  loop
    built := false;
    foreach searched in array array['actor_id', 'target_id', 'action', 'tenant'] loop
      index_name := closed.relname || '_' || searched || '_at';
      continue when to_regclass(format('audit.%I', index_name)) is not null;
      execute format(
        'create index %I on audit.%I (%I, recorded_at) where %I is not null',
        index_name, closed.relname, searched, searched
      );
      built := true;
    end loop;
    if built then
      return closed.relname;
    end if;
  end loop;
  return null;
end
$$;

-- Enlists that the session's user has queried the trail, where the journal is in use; returns the record's id, or null.
-- Its owner's rights let who only reads record that, and nothing else.
create function audit.note_query(details jsonb) returns uuid
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
-- What the session says of itself there is its own word: it does not stand in this event.
set audit.context = ''
as $$
begin
  if not exists (select from audit.journal) then
    return null;
  end if;
  return audit.emit(jsonb_build_object(
    'action', 'audit.query', 'operation', 'read', 'outcome', 'success',
    'actor', jsonb_build_object('type', 'user', 'id', session_user),
    'details', details
  ));
end
$$;

revoke execute on function audit.note_query(jsonb), audit.index_closed_partition() from public;

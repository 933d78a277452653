-- breaking: no
--
-- Changes of rows as events: the function of the triggers that `otel-audit trigger TABLE` writes. It runs with the rights of
-- whoever changes the row, who therefore needs usage on the schema and execute on audit.emit.

-- As migration 2 defined it, but for the check of what is in audit.context.
create or replace function audit.emit(event jsonb) returns uuid
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  context constant text := nullif(current_setting('audit.context', true), '');
  now_ms constant bigint := floor(extract(epoch from clock_timestamp()) * 1000);
  -- UUID version 7: a random one with the time in front, and the bits of its version.
  random constant bytea := overlay(uuid_send(gen_random_uuid()) placing substring(int8send(now_ms) from 3) from 1);
  id constant uuid := encode(set_bit(set_bit(random, 52, 1), 53, 1), 'hex')::uuid;
  filled jsonb := event;
  bytes bigint;
begin
  if jsonb_typeof(event) is distinct from 'object' then
    raise exception 'audit.emit takes a JSON object, not %', coalesce(jsonb_typeof(event), 'null')
      using errcode = 'invalid_parameter_value', hint = 'audit.emit(''{"action": "invoice.delete"}'')';
  end if;
  if context is not null then
    begin
      filled := context::jsonb;
    exception when data_exception or program_limit_exceeded then
      filled := null;
    end;
    if jsonb_typeof(filled) is distinct from 'object' then
      raise exception 'the setting audit.context holds no JSON object'
        using errcode = 'invalid_parameter_value',
          hint = 'select set_config(''audit.context'', ''{"actor": {"type": "user", "id": "u-1"}}'', true)';
    end if;
    filled := filled || event;
  end if;
  bytes := octet_length(filled::text);
  if bytes > 1048576 then
    filled := (filled - '{changes,details,resource}'::text[])
      || jsonb_build_object('details', jsonb_build_object('trimmed', true, 'bytes', bytes));
  end if;
  if octet_length(filled::text) > 1048576 then
    filled := jsonb_build_object('action', left(event ->> 'action', 512), 'details', filled -> 'details');
  end if;
  insert into audit.outbox (record_id, admitted, event) values (id, false, convert_to(filled::text, 'UTF8'));
  return id;
end
$$;

-- Emits one event for each row that is inserted, updated or deleted, and one for a truncate. The argument of the trigger is
-- JSON: {"table", "action", "key": [column …], "exclude": [column …], "mask": [column …]}. Never refuses a row for what it
-- holds: what jsonb cannot hold is said to be unreadable, and a number of more than 15 digits is recorded as a text,
-- because those who read the record would round it. An update that changes no recorded column is no event.
create function audit.record_change() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  choice constant jsonb := coalesce(tg_argv[0], '{}')::jsonb;
  context jsonb := '{}';
  details jsonb := jsonb_build_object('transaction', pg_current_xact_id()::text, 'database_user', session_user);
  event jsonb;
  before jsonb;
  after jsonb;
  changes jsonb;
  id text;
begin
  begin
    context := coalesce(nullif(current_setting('audit.context', true), ''), '{}')::jsonb;
  exception when data_exception or program_limit_exceeded then
    context := '{}'; -- audit.emit says what is wrong with it
  end;
  begin
    if tg_level = 'ROW' and tg_op <> 'INSERT' then
      before := to_jsonb(old);
    end if;
    if tg_level = 'ROW' and tg_op <> 'DELETE' then
      after := to_jsonb(new);
    end if;
  exception when data_exception or program_limit_exceeded then
    before := null;
    after := null;
    details := details || '{"unreadable_row": true}';
  end;

  select jsonb_object_agg(
    column_name,
    case when choice -> 'mask' ? column_name
      then jsonb_strip_nulls(jsonb_build_object(
        'from', case when before is not null then '[REDACTED]' end,
        'to', case when after is not null then '[REDACTED]' end))
      else case when before is null then '{}'::jsonb else jsonb_build_object('from', was) end
        || case when after is null then '{}'::jsonb else jsonb_build_object('to', is_now) end
    end)
  into changes
  from (
    select column_name,
      case when jsonb_typeof(was) = 'number' and length(translate(was::text, '-.', '')) > 15
        then to_jsonb(was::text) else was end as was,
      case when jsonb_typeof(is_now) = 'number' and length(translate(is_now::text, '-.', '')) > 15
        then to_jsonb(is_now::text) else is_now end as is_now
    from jsonb_object_keys(coalesce(after, before)) as column_name,
      lateral (select before -> column_name as was, after -> column_name as is_now) as value
    where not coalesce(choice -> 'exclude' ? column_name, false) and was is distinct from is_now
  ) as changed;
  if tg_op = 'UPDATE' and changes is null and details -> 'unreadable_row' is null then
    return null;
  end if;

  if jsonb_array_length(choice -> 'key') = 1 then
    id := coalesce(before, after) ->> (choice -> 'key' ->> 0);
  elsif coalesce(before, after) is not null then
    -- Of several columns, as a JSON array of texts.
    select jsonb_agg(coalesce(before, after) ->> name order by position)::text into id
    from jsonb_array_elements_text(choice -> 'key') with ordinality as k (name, position);
  end if;

  event := jsonb_build_object(
    'action', coalesce(choice ->> 'action', 'row') || '.' || lower(tg_op),
    'operation', case tg_op when 'INSERT' then 'create' when 'UPDATE' then 'update' else 'delete' end,
    'outcome', 'success',
    'target', jsonb_strip_nulls(jsonb_build_object(
      'resource_type', coalesce(choice ->> 'table', tg_table_schema || '.' || tg_table_name), 'id', id)),
    'details', case when jsonb_typeof(context -> 'details') = 'object' then context -> 'details' else '{}' end || details,
    'correlation_id', coalesce(context -> 'correlation_id', to_jsonb('pg-' || pg_current_xact_id()::text)));
  if not context ? 'actor' then
    event := event || jsonb_build_object('actor', jsonb_build_object('type', 'unknown', 'id', session_user));
  end if;
  if changes is not null then
    event := event || jsonb_build_object('changes', changes);
  end if;
  perform audit.emit(event);
  return null;
end
$$;

revoke execute on function audit.record_change() from public;

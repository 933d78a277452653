-- breaking: no
--
-- The outbox: events of business transactions that no sequencer has sealed yet, and the journal that it seals them in.
-- Whoever emits needs usage on the schema and insert on audit.outbox, or execute on audit.emit, and nothing else.

create table audit.outbox (
  number bigint generated always as identity primary key,
  -- Of the record that it becomes.
  record_id uuid not null,
  emitted_at timestamptz not null default clock_timestamp(),
  -- Policy and redaction have run already.
  admitted boolean not null,
  -- JSON text, not jsonb: that refuses some texts, and changes the order of keys and the form of numbers.
  event bytea not null check (octet_length(event) <= 1048576)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

-- One row: where the journal is sealed. A sequencer holds the lock on it while it seals.
create table audit.journal (
  singleton boolean primary key default true check (singleton),
  deployment text not null,
  stream uuid not null,
  -- On another server or timeline numbers may have been issued that are not here: a new stream starts.
  system_identifier bigint not null,
  timeline_id bigint not null,
  -- What the last checkpoint covers, and the roots of that tree's perfect subtrees.
  signed_size bigint not null,
  tree bytea[] not null,
  signed_at timestamptz not null,
  -- Records but checkpoints that no checkpoint covers.
  unsigned bigint not null
) with (fillfactor = 50);

-- The streams of the journal, in the order in which they follow one another.
create table audit.journal_stream (
  number bigint generated always as identity primary key,
  stream uuid not null unique,
  opened_at timestamptz not null default now()
);

-- How far each destination of `otel-audit forward --postgres` has confirmed the journal.
create table audit.sink_cursor (
  destination text primary key,
  -- Null before the first record.
  stream uuid,
  seq bigint not null default 0,
  updated_at timestamptz not null default now()
) with (fillfactor = 50);

-- Emits an event in the caller's transaction, for triggers and other languages; returns the id of the record that it
-- becomes. What is in the setting audit.context (JSON, set with set_config('audit.context', …, true)) fills what the
-- event lacks. Redaction runs when it is sealed: until then the event stands in the outbox as given, and in WAL and
-- backups for as long as those are kept. An event of more than 1 MiB loses its details and changes.
create function audit.emit(event jsonb) returns uuid
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
    filled := context::jsonb || event;
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

revoke execute on function audit.emit(jsonb) from public;

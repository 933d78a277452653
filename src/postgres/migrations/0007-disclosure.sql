-- breaking: no
--
-- Disclosures: the personal values that records commit to (docs/erasure.md). They are stored nowhere else, and erased here:
-- the record keeps the commitment, which alone says nothing.

create table audit.disclosure (
  -- SHA-256 of the disclosure: the commitment, as it stands in the record.
  digest bytea primary key check (octet_length(digest) = 32),
  -- The record.
  stream uuid not null,
  seq bigint not null,
  -- Pseudonym of the person whom the value is about.
  subject text not null,
  -- base64url of the JSON array [salt, pointer, value].
  disclosure text not null,
  -- When it was sealed; when it was emitted, of what came through the outbox.
  made_at timestamptz not null
);

create index disclosure_subject on audit.disclosure (subject);
create index disclosure_record on audit.disclosure (stream, seq);

-- What was erased, kept for ever: the digest of a value that is gone tells nothing about it.
create table audit.erasure (
  digest bytea primary key,
  stream uuid not null,
  seq bigint not null,
  erased_at timestamptz not null default now(),
  -- A record audit.erased says so, and has arrived here.
  sealed_at timestamptz
);

create index erasure_unsealed on audit.erasure (digest) where sealed_at is null;

-- Whose values are not taken any more when they were made before a time: a spool may still deliver them.
create table audit.erased_subject (
  -- SHA-256 of the pseudonym.
  subject_digest bytea primary key,
  made_before timestamptz not null
);

-- Stores the disclosures of records that the same transaction inserts; one array per column. What belongs to a subject that
-- was erased since is noted as erased instead. With its owner's rights, so that whoever writes needs not read.
create function audit.disclose(
  digests bytea[],
  streams uuid[],
  seqs bigint[],
  subjects text[],
  disclosures text[],
  made_ats timestamptz[]
) returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  -- Shared by all writers: an erasure waits for those that have not seen it.
  perform pg_advisory_xact_lock_shared(hashtextextended('audit.disclosure', 0));

  insert into audit.erasure (digest, stream, seq)
  select u.digest, u.stream, u.seq
  from unnest(digests, streams, seqs, subjects, made_ats) as u (digest, stream, seq, subject, made_at)
  join audit.erased_subject e on e.subject_digest = sha256(convert_to(u.subject, 'UTF8'))
  where coalesce(u.made_at, now()) <= e.made_before
  on conflict do nothing;

  insert into audit.disclosure (digest, stream, seq, subject, disclosure, made_at)
  select u.digest, u.stream, u.seq, u.subject, u.disclosure, coalesce(u.made_at, now())
  from unnest(digests, streams, seqs, subjects, disclosures, made_ats)
    as u (digest, stream, seq, subject, disclosure, made_at)
  -- A record that retention has removed is skipped when it comes again, and so is this.
  where not exists (select from audit.erasure e where e.digest = u.digest) and not audit.is_pruned(u.stream, u.seq)
  on conflict do nothing;
end
$$;

-- What a disclosure says, as [salt, pointer, value]; null where jsonb cannot hold it.
create function audit.read_disclosure(disclosure text) returns jsonb
language plpgsql
immutable
strict
set search_path = pg_catalog, pg_temp
as $$
begin
  return convert_from(
    decode(rpad(translate(disclosure, '-_', '+/'), (length(disclosure) + 3) / 4 * 4, '='), 'base64'), 'UTF8'
  )::jsonb;
exception when others then
  return null;
end
$$;

-- The personal values of records, for those who may see them: join it with audit.event by stream and seq.
create view audit.disclosed as
select
  d.stream,
  d.seq,
  audit.read_disclosure(d.disclosure) ->> 1 as pointer,
  audit.read_disclosure(d.disclosure) -> 2 as value,
  d.subject,
  d.made_at
from audit.disclosure d;

-- Which commitments are disclosed, and what the disclosure gives: whoever verifies needs not see a value.
create view audit.disclosure_digest as
select d.stream, d.seq, d.digest, sha256(convert_to(d.disclosure, 'UTF8')) as found
from audit.disclosure d;

-- Disclosures are not changed, and go when they are erased or when their record is past its retention.
create function audit.refuse_disclosure_change() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'DELETE' and (
    exists (select from audit.erasure e where e.digest = old.digest) or audit.is_pruned(old.stream, old.seq)
  ) then
    return old;
  end if;
  raise exception '% is refused on %.%: disclosures are erased, not changed', lower(tg_op), tg_table_schema, tg_table_name
    using errcode = 'insufficient_privilege', hint = 'otel-audit erase removes what is about a subject, and says so';
end
$$;

create trigger refuse_update before update on audit.disclosure
  for each row execute function audit.refuse_disclosure_change();
create trigger refuse_delete before delete on audit.disclosure
  for each row execute function audit.refuse_disclosure_change();
create trigger refuse_truncate before truncate on audit.disclosure
  for each statement execute function audit.refuse_disclosure_change();
create trigger refuse_delete before delete on audit.erasure for each row execute function audit.refuse_change();
create trigger refuse_truncate before truncate on audit.erasure
  for each statement execute function audit.refuse_change();

alter table audit.disclosure enable always trigger refuse_update;
alter table audit.disclosure enable always trigger refuse_delete;
alter table audit.disclosure enable always trigger refuse_truncate;
alter table audit.erasure enable always trigger refuse_delete;
alter table audit.erasure enable always trigger refuse_truncate;

revoke execute on function
  audit.disclose(bytea[], uuid[], bigint[], text[], text[], timestamptz[]), audit.read_disclosure(text) from public;

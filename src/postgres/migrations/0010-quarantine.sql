-- breaking: no
--
-- Records of the journal that a destination of `otel-audit forward --postgres` refuses by itself: delivery goes on without
-- them. Whoever seals the journal says in it that a record came here, and what became of it.

create table audit.quarantine (
  destination text not null,
  stream uuid not null,
  seq bigint not null check (seq > 0),
  hash bytea not null check (octet_length(hash) = 32),
  -- As it was sealed: it stays here when its partition goes.
  record bytea not null,
  -- What the destination said.
  reason text not null,
  quarantined_at timestamptz not null default clock_timestamp(),
  -- The journal says that it was set aside.
  sealed boolean not null default false,
  -- What an operator has asked for; the process that delivers does it.
  resolution text check (resolution in ('retry', 'discard')),
  operator text,
  why text,
  asked_at timestamptz,
  -- Why the last retry was refused.
  refused text,
  -- It is done: the row goes when the journal says so.
  outcome text check (outcome in ('delivered', 'discarded')),
  primary key (destination, stream, seq)
);

-- What is to be sealed: in general nothing.
create index quarantine_owed on audit.quarantine (quarantined_at) where not sealed or outcome is not null;

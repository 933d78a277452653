-- breaking: no
--
-- Which key signs the journal: it changes by a rotation that is sealed in the journal itself, and not otherwise.

-- Null where an older version has sealed.
alter table audit.journal add column verifier_key text;

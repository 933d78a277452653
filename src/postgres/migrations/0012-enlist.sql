-- breaking: no
--
-- Enlisting an event at the least cost to the caller's transaction. PostgreSQL parses and plans an insert each time that
-- it is sent without a name, which takes twice as long as inserting; the plan of a statement in a procedure is kept for the
-- session, and a call has none. A prepared statement would do the same, and fail behind a pooler that knows none.

-- With the rights of the caller, who needs insert on audit.outbox: whoever may call it may do nothing more by that.
-- Every name is qualified, because a setting of search_path would cost more than the insert.
create procedure audit.enlist(record_id uuid, event text)
language plpgsql
as $$
begin
  insert into audit.outbox (record_id, admitted, event)
  values (enlist.record_id, true, pg_catalog.convert_to(enlist.event, 'UTF8'));
end
$$;

-- Has a table of the closure anything that may act on a delete: a trigger (a foreign key that points at it makes some),
-- a rule, row security?  A trigger that is gone may still count.  One row without columns, or none.
-- Parameters: $1 closure tables (text[]).  Locks: none (catalogue only).  Index: pg_class(relname, relnamespace).
SELECT FROM pg_class c
 WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY ($1::text[])
   AND (c.relhastriggers OR c.relhasrules OR c.relrowsecurity)
 LIMIT 1

-- The closure's tables as they are here: name, kind of relation, row security, member of an inheritance tree.
-- Parameters: $1 table names (text[]).  Locks: none (catalogue only).  Index: pg_class(relname, relnamespace).
SELECT c.relname, c.relkind, c.relrowsecurity,
       EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhparent = c.oid OR i.inhrelid = c.oid)
  FROM pg_class c
 WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY ($1::text[])
   AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
 ORDER BY c.relname COLLATE "C"

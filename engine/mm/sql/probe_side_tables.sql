-- Which of the tables that tell about work in progress exist and may be read: name, readable.
-- Parameters: $1 table names (text[]).  Locks: none (catalogue only).
SELECT c.relname, has_table_privilege(c.oid, 'SELECT')
  FROM pg_class c
 WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname = ANY ($1::text[])

-- The view of profile attributes: filled, owned by this role (or one that it is in), readable with the column that
-- names the person.
-- Parameters: none.  Locks: none (catalogue only).
SELECT c.relispopulated, pg_has_role(c.relowner, 'USAGE'),
       EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'targetid' AND NOT a.attisdropped)
       AND has_table_privilege(c.oid, 'SELECT')
  FROM pg_class c
 WHERE c.relname = 'attributeview' AND c.relnamespace = current_schema()::regnamespace AND c.relkind = 'm'

-- Columns of other tables of this schema whose names look like the id of a post: table, column.
-- Parameters: $1 closure tables (text[]), $2 known columns as table.column (text[]).  Locks: none (catalogue only).
-- Views are left out: deleting below them needs nothing.  LIKE spares most columns the regular expression.
SELECT c.relname, a.attname
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'f')
   AND c.relname <> ALL ($1::text[])
   AND lower(a.attname) LIKE '%id%' AND lower(a.attname) ~ '(post|root|original|object|thread|reply)_?ids?$'
   AND lower(c.relname || '.' || a.attname) <> ALL ($2::text[])
 ORDER BY c.relname COLLATE "C", a.attnum

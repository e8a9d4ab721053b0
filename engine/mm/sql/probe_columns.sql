-- Columns of the closure's tables in the order of SELECT *: table, column, type, NOT NULL, default.
-- Parameters: $1 table names (text[]).  Locks: none (catalogue only).  Index: pg_class(relname, relnamespace),
-- pg_attribute key.
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY ($1::text[])
   AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
 ORDER BY c.relname COLLATE "C", a.attnum

-- Privileges that the role lacks: a line each, as in GRANT.  Tables that are not here are left out.
-- Parameters: $1 tables, $2 privileges, $3 columns (text[] of equal length; a NULL column means the whole table).
-- Locks: none (catalogue only).
SELECT w.priv || COALESCE(' (' || string_agg(w.col, ', ' ORDER BY w.n) || ')', '') || ' ON ' || c.relname
  FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS w (tab, priv, col, n)
  JOIN pg_class c ON c.relname = w.tab AND c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = w.col AND NOT a.attisdropped
 WHERE CASE WHEN w.col IS NULL THEN NOT has_table_privilege(c.oid, w.priv)
            ELSE a.attnum IS NOT NULL AND NOT has_column_privilege(c.oid, a.attnum, w.priv) END
 GROUP BY w.priv, c.relname, w.col IS NULL
 ORDER BY min(w.n)

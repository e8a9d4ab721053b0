-- Which of the tables (and columns) exist here, in the order asked.
-- Parameters: $1 tables, $2 columns (text[] of equal length; NULL: the table is enough).  Locks: none (catalogue only).
SELECT EXISTS (SELECT FROM pg_class c
                WHERE c.relname = w.tab AND c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
                  AND (w.col IS NULL OR EXISTS (SELECT FROM pg_attribute a
                                                 WHERE a.attrelid = c.oid AND a.attname = w.col AND a.attnum > 0 AND NOT a.attisdropped)))
  FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w (tab, col, n)
 ORDER BY w.n

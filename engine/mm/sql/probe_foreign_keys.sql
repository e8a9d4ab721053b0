-- Foreign keys of any schema that point at a table of the closure: table, constraint, target, what a delete does.
-- Parameters: $1 closure tables (text[]).  Locks: none (catalogue only).
SELECT k.conrelid::regclass::text, k.conname, t.relname,
       CASE k.confdeltype WHEN 'c' THEN 'deletes its rows too' WHEN 'n' THEN 'empties the column' WHEN 'd' THEN 'resets the column'
                          ELSE 'refuses the delete' END
  FROM pg_constraint k JOIN pg_class t ON t.oid = k.confrelid
 WHERE k.contype = 'f' AND t.relnamespace = current_schema()::regnamespace AND t.relname = ANY ($1::text[])
 ORDER BY 1, 2

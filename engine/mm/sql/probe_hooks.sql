-- What would run or hide rows beside our statements on the closure's tables: table, kind, name.
-- Parameters: $1 closure tables (text[]).  Locks: none (catalogue only).
SELECT c.relname, 'trigger', t.tgname::text
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
 WHERE NOT t.tgisinternal AND t.tgenabled <> 'D'
   AND c.relnamespace = current_schema()::regnamespace AND c.relname = ANY ($1::text[])
UNION ALL
SELECT c.relname, 'rule', r.rulename::text
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
 WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace AND c.relname = ANY ($1::text[])
UNION ALL
SELECT c.relname, 'row-security policy', p.polname::text
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
 WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY ($1::text[])
 ORDER BY 1, 2, 3

-- The statements that give a role what a run needs: a line each.  Tables and columns that are not here are left out.
-- Parameters: $1 tables, $2 privileges, $3 columns (text[] of equal length; a NULL column means the whole table), $4
-- role (text; NULL: this session's).  Locks: none (catalogue only).
WITH wanted AS (
	SELECT c.relname, w.priv || COALESCE(' (' || string_agg(quote_ident(a.attname), ', ' ORDER BY w.n) || ')', '') AS priv, min(w.n) AS n
	  FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS w (tab, priv, col, n)
	  JOIN pg_class c ON c.relname = w.tab AND c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
	  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = w.col AND a.attnum > 0 AND NOT a.attisdropped
	 WHERE w.col IS NULL OR a.attnum IS NOT NULL
	 GROUP BY c.relname, w.priv, w.col IS NULL),
lines AS (
	SELECT -2 AS n, format('GRANT TEMPORARY ON DATABASE %I', current_database()) AS line
	UNION ALL SELECT -1, format('GRANT USAGE ON SCHEMA %I', current_schema())
	UNION ALL SELECT min(n), format('GRANT %s ON %I.%I', string_agg(priv, ', ' ORDER BY n), current_schema(), relname) FROM wanted GROUP BY relname
	UNION ALL SELECT NULL, '-- With replicas, by a superuser, so that a run sees how far they are behind: GRANT pg_read_all_stats'),
named AS (SELECT n, line || format(' TO %I;', COALESCE($4::text, current_user)) AS line FROM lines)
-- A remark ends with its line, whatever the name holds.
SELECT CASE WHEN n IS NULL THEN translate(line, E'\n\r', '  ') ELSE line END FROM named ORDER BY n NULLS LAST

-- An upper bound of every transaction that has begun until now.
SELECT pg_current_xact_id()::text

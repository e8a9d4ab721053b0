-- An upper bound of every transaction that has begun until now.  Parameters: none.  Locks: none; the transaction gets
-- an id if it has none.
SELECT pg_current_xact_id()::text

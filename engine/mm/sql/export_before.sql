-- A lower bound of every transaction that a later snapshot shows and one of now does not.  Parameters: none.  Locks:
-- none.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text

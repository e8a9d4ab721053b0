-- Has every transaction up to $1 ended?  Parameters: $1 text, an xid8.  Locks: none.
SELECT pg_snapshot_xmin(pg_current_snapshot()) > $1::text::xid8

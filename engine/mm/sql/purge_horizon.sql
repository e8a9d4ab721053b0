-- Has every transaction up to $1 (xid8) ended?
SELECT pg_snapshot_xmin(pg_current_snapshot()) > $1::text::xid8

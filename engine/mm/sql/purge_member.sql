-- Delete rows of threadmemberships that are still where and what the export saw.
-- Parameters: $1 tid[] locations, $2 xid[] versions, $3 text[] postid.  Locks: the rows.  Found by location; key and
-- version decide.
DELETE FROM threadmemberships t USING unnest($1::tid[], $2::xid[], $3::text[]) AS u(tid, version, key)
WHERE t.ctid = u.tid AND t.xmin = u.version AND t.postid = u.key

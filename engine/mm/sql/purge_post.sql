-- Delete posts that are still where and what the export saw.
-- Parameters: $1 tid[] locations, $2 xid[] versions, $3 text[] ids, $4 $5 $6 bigint[] updateat, editat, deleteat as
-- archived.
-- Locks: the rows.  Found by location; id and version decide.
DELETE FROM posts t
USING unnest($1::tid[], $2::xid[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[]) AS u(tid, version, id, updateat, editat, deleteat)
WHERE t.ctid = u.tid AND t.xmin = u.version AND t.id = u.id
  AND t.updateat IS NOT DISTINCT FROM u.updateat AND t.editat IS NOT DISTINCT FROM u.editat
  AND t.deleteat IS NOT DISTINCT FROM u.deleteat

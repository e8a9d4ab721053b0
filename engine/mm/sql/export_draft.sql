-- Rows of drafts of the unit, in bundle order: seq, thread, location, version, then all columns.
-- Parameters: none.  Locks: none.  No index on rootid: one scan per unit.
SELECT p.seq, p.thread, t.ctid, t.xmin, t.*
FROM pg_temp.mmr_few p JOIN drafts t ON t.rootid = p.id
ORDER BY p.seq, t.userid COLLATE "C", t.channelid COLLATE "C"

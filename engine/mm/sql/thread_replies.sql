-- Replies of each post older than the cut-off, of any age and in any channel: where a scan for the cut-off brought
-- fewer, the thread is younger (or damaged) and stays.  Columns: post id, rows that name it as their root.
-- Parameters: $1 cut-off.  Locks: none.  Indexes: (rootid, deleteat) and (createat, id), both index-only: a pass over
-- posts for the younger replies costs twice as much.
SELECT q.rootid, count(*) FROM posts q JOIN posts r ON r.id = q.rootid
WHERE q.rootid > '' AND r.createat < $1::bigint
GROUP BY q.rootid

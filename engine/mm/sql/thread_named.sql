-- Old threads with a row that a younger row hangs on though it is no root (damaged), or with an edit copy without a
-- rootid that is younger than its post (and makes the thread younger): what a scan for the cut-off does not see.
-- Columns: thread, bits, createat, editat of the younger row.  Asked only where other damage turned up: it costs half a
-- scan.
-- Parameters: $1 least, $2 greatest cut-off.  Locks: none.  Index: (createat), or one pass over posts.
SELECT CASE WHEN o.rootid <> '' THEN o.rootid
	WHEN o.originalid <> '' THEN coalesce((SELECT nullif(x.rootid, '') FROM posts x WHERE x.id = o.originalid), o.originalid)
	ELSE o.id END,
	CASE WHEN q.rootid <> '' OR (coalesce(o.rootid, '') = '' AND o.originalid <> '') THEN 4096 ELSE 0 END, q.createat, q.editat
FROM posts q JOIN posts o ON o.id = CASE WHEN q.rootid <> '' THEN q.rootid ELSE q.originalid END
WHERE q.createat >= $1::bigint AND (q.rootid <> '' OR q.originalid <> '') AND o.createat < $2::bigint
  AND (o.rootid <> '' OR o.originalid <> '' OR coalesce(q.rootid, '') = '')

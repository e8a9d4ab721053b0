-- Threads that hold a row without a createat (damaged: the whole thread stays).  Columns: thread, channel,
-- names its root (bool).
-- Parameters: none.  Locks: none.  Index: (createat).
SELECT CASE WHEN p.rootid <> '' THEN p.rootid
	WHEN p.originalid <> '' THEN coalesce((SELECT nullif(o.rootid, '') FROM posts o WHERE o.id = p.originalid), p.originalid)
	ELSE p.id END, p.channelid, p.rootid <> ''
FROM posts p
WHERE p.createat IS NULL AND (p.rootid <> '' OR p.originalid <> '')

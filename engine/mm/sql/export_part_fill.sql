-- Files of the posts that go; and files that an edit took off a post which stays, when the copy that still names them
-- goes and they were deleted before the cut-off themselves and neither the post nor a copy that stays nor any live post
-- of the thread names them. OFFSET 0 keeps each look a probe of an index: without hash joins the planner would read all
-- posts for each file.
-- Parameters: $1 cut-off.  Locks: none.  Indexes: fileinfo (postid), posts primary key, (originalid), (rootid,
-- deleteat).
INSERT INTO pg_temp.mmr_file (seq, thread, id, tid)
SELECT min(x.seq), x.thread, x.id, x.tid
FROM (
	SELECT p.seq, p.thread, f.id, f.ctid AS tid FROM pg_temp.mmr_post p JOIN fileinfo f ON f.postid = p.id
	UNION ALL
	SELECT p.seq, p.thread, f.id, f.tid
	FROM pg_temp.mmr_post p
	CROSS JOIN LATERAL (SELECT q.originalid, q.fileids, coalesce(nullif(q.rootid, ''), q.originalid) AS root FROM posts q
			    WHERE q.ctid = p.tid AND q.originalid <> '' OFFSET 0) c
	CROSS JOIN LATERAL (SELECT g.id, g.ctid AS tid FROM fileinfo g WHERE g.postid = c.originalid AND g.deleteat >= 946684800000 AND g.deleteat < $1::bigint
			    AND strpos(c.fileids, g.id) > 0 OFFSET 0) f
	WHERE NOT EXISTS (SELECT FROM posts o WHERE o.id = c.originalid AND strpos(o.fileids, f.id) > 0 OFFSET 0)
	  AND NOT EXISTS (SELECT FROM posts o WHERE o.originalid = c.originalid AND strpos(o.fileids, f.id) > 0
			  AND (o.deleteat >= 946684800000 AND o.deleteat < $1::bigint
			       AND (o.rootid = c.root OR coalesce(o.rootid, '') = '' AND o.originalid = c.root)) IS NOT TRUE OFFSET 0)
	  AND NOT EXISTS (SELECT FROM posts l WHERE (l.rootid = c.root OR l.id = c.root) AND coalesce(l.deleteat, 0) = 0
			  AND (strpos(l.fileids, f.id) > 0 OR strpos(l.filenames, f.id) > 0) OFFSET 0)
) x
GROUP BY x.thread, x.id, x.tid

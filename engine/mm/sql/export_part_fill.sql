-- Files of the posts that go; and files that an edit took off a post which stays, when the copy that still names them goes and they were
-- deleted before the cut-off themselves and neither the post nor another copy names them.
-- Parameters: $1 cut-off.  Locks: none.  Indexes: fileinfo (postid), posts primary key, (originalid).
INSERT INTO pg_temp.mmr_part_file (seq, thread, id)
SELECT min(x.seq), x.thread, x.id
FROM (
	SELECT p.seq, p.thread, f.id FROM pg_temp.mmr_post p JOIN fileinfo f ON f.postid = p.id
	UNION ALL
	SELECT p.seq, p.thread, f.id
	FROM pg_temp.mmr_post p
	CROSS JOIN LATERAL (SELECT q.originalid, q.fileids FROM posts q WHERE q.ctid = p.tid AND q.originalid <> '' OFFSET 0) c
	CROSS JOIN LATERAL (SELECT g.id FROM fileinfo g WHERE g.postid = c.originalid AND g.deleteat > 0 AND g.deleteat < $1::bigint
			    AND strpos(c.fileids, g.id) > 0 OFFSET 0) f
	WHERE NOT EXISTS (SELECT FROM posts o WHERE (o.id = c.originalid OR o.originalid = c.originalid) AND strpos(o.fileids, f.id) > 0
			  AND NOT EXISTS (SELECT FROM pg_temp.mmr_post m WHERE m.id = o.id))
) x
GROUP BY x.thread, x.id

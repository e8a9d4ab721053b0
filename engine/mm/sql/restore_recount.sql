-- Reply count, last reply and participants of a thread that came back, as the server counts them.  Parameters: $1 text:
-- root id.
-- Locks: the row of threads.  Index: primary keys of posts, channels and threads; posts (rootid, deleteat).
INSERT INTO threads AS t (postid, replycount, lastreplyat, participants, channelid, threaddeleteat, threadteamid)
SELECT r.id, s.replies, s.last_at, s.people, r.channelid, NULLIF(r.deleteat, 0), coalesce(c.teamid, '')
FROM posts r LEFT JOIN channels c ON c.id = r.channelid
CROSS JOIN LATERAL (
	SELECT count(*) AS replies, coalesce(max(p.createat), 0) AS last_at,
	       coalesce((SELECT jsonb_agg(u.userid ORDER BY u.last_at)
	                 FROM (SELECT q.userid, max(q.createat) AS last_at FROM posts q
	                       WHERE q.rootid = r.id AND q.deleteat = 0 GROUP BY q.userid) u), '[]'::jsonb) AS people
	FROM posts p WHERE p.rootid = r.id AND p.deleteat = 0) s
WHERE r.id = $1 AND s.replies > 0
ON CONFLICT (postid) DO UPDATE SET replycount = excluded.replycount, lastreplyat = excluded.lastreplyat, participants = excluded.participants

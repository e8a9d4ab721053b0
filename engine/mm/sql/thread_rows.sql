-- Rows of candidate threads, one line per post, in any order; mm_fold.c puts them together.  A template: mm_template.c
-- keeps the blocks that are asked for (a line with two dashes and "[name" opens one, "]" closes it).
-- Columns: thread (root id), channel, createat, editat when newer, bits (enum mm_protection, 65536 root, block split:
-- 262144 names a root, of a scan 131072 names attachments itself), then first hold (block hold), then bytes (block
-- bytes). A scan leaves marks kept in other tables to thread_marks.sql and thread_unlisted.sql (a subquery in its
-- columns would be the leader's work, and not that of parallel workers), and damage that shows as rows without a root
-- to thread_rootless.sql and thread_named.sql.
-- A scan of all channels for the last reply (block split) leaves files to thread_files.sql, and which threads are
-- younger to thread_replies.sql: each of these is done by parallel workers up to its last step.
-- Parameters: $1,$2 channels with their cut-offs; $3,$4 greatest and least cut-off; $5 root ids; $6 createat above this
-- is damaged, as it is before 2000 (946684800000): what an import by hand wrote in seconds reads as January of 1970; $7
-- authors; $8 pattern of hashtags; $9,$25 compliance export has come so far, and to this post of that millisecond;
-- $10-$13 held users (id, since, until, hold; disjoint per id), $14-$17 held channels, $18-$20 channels of legal holds
-- (id, since, until; disjoint per id); $21 status fields of content flagging; $22 the first time asked for, one or one
-- a channel (block since: two sessions share the candidates); $23,$24 posts of temporaryposts and with an open content
-- flag (block listed; else each is looked up). An empty jsonb takes 5 bytes on disk: its text ("{}" or "[]") need not be made.
-- Locks: none.  Indexes: scan: (createat) or one pass over posts; probe: (createat), (channelid, deleteat, createat) or
-- the primary key for roots, then (rootid, deleteat), (originalid); fileinfo (postid); preferences (name);
-- propertyvalues (targetid).
WITH param AS (
	SELECT $1::text[], $2::bigint[], $3::bigint, $4::bigint, $5::text[], $6::bigint, $7::text[], $8::text, $9::bigint,
	       $10::text[], $11::bigint[], $12::bigint[], $13::int[], $14::text[], $15::bigint[], $16::bigint[], $17::int[],
	       $18::text[], $19::bigint[], $20::bigint[], $21::text[], $22::bigint[], $23::text[], $24::text[], $25::text
),
--[scan
--[live
-- threads with a younger row, or with a reply in a channel that is not asked for (damage); a younger copy without a
-- rootid has its post beside it, or is found by thread_named.sql
live AS (
--[last_reply
	SELECT DISTINCT p.rootid AS thread
	FROM posts p
	LEFT JOIN unnest($1::text[], $2::bigint[]) c (id, cut) ON c.id = p.channelid
	WHERE p.rootid <> '' AND coalesce(p.createat >= c.cut, true)
--]
--[last_edit
	SELECT DISTINCT CASE WHEN p.rootid <> '' THEN p.rootid WHEN p.originalid <> '' THEN p.originalid ELSE p.id END AS thread
	FROM posts p
--[some
	LEFT JOIN unnest($1::text[], $2::bigint[]) c (id, cut) ON c.id = p.channelid
--]
--[all
	WHERE (p.createat >= $4 AND p.rootid <> '' OR p.editat >= $4)
--]
--[some
	WHERE CASE WHEN c.cut IS NULL THEN p.rootid <> '' ELSE p.createat >= c.cut AND p.rootid <> '' OR p.editat >= c.cut END
--]
--]
),
--]
part AS (
	SELECT (CASE WHEN p.rootid <> '' THEN p.rootid
		WHEN p.originalid <> '' THEN p.originalid
		ELSE p.id END) AS thread,
	       (p.rootid <> '' OR p.originalid <> '') IS NOT TRUE AS root,
	       p.id, p.createat, p.editat, p.deleteat, p.updateat, p.userid, p.channelid,
	       p.rootid, p.originalid, p.type, p.ispinned, p.hashtags, p.filenames
--[bytes
	       , p.message, p.props
--]
	FROM posts p
--[some
	LEFT JOIN unnest($1::text[], $2::bigint[]) c (id, cut) ON c.id = p.channelid
--]
--[past
	WHERE p.createat < $3
--[some
	  AND p.createat < c.cut
--]
--]
--[root
--[all
	WHERE (p.createat < $3 OR p.rootid <> '' OR p.originalid <> '')
--]
--[some
	WHERE (p.createat < c.cut OR p.rootid <> '' OR p.originalid <> '')
--]
--]
),
member AS (
--[split
	SELECT p.* FROM part p
--]
--[live
	SELECT p.* FROM part p WHERE NOT EXISTS (SELECT FROM live l WHERE l.thread = p.thread)
--]
--[root
	SELECT p.* FROM part p LEFT JOIN posts r ON r.id = p.thread AND (r.rootid <> '' OR r.originalid <> '') IS NOT TRUE
	WHERE p.root OR r.id IS NULL OR r.createat < $3
--]
)
--]
--[odd
-- edit copies of the replies $5 that lost their rootid: a scan cannot tell them from those of roots
member AS (
	SELECT o.rootid AS thread, false AS root, p.id, p.createat, p.editat, p.deleteat, p.updateat, p.userid, p.channelid,
	       p.rootid, p.originalid, p.type, p.ispinned, p.hashtags, p.filenames
--[bytes
	       , p.message, p.props
--]
	FROM unnest($5::text[]) k (id)
	CROSS JOIN LATERAL (SELECT q.* FROM posts q WHERE q.id = k.id OFFSET 0) o
	CROSS JOIN LATERAL (SELECT q.* FROM posts q WHERE q.originalid = o.id AND coalesce(q.rootid, '') = '' OFFSET 0) p
	WHERE o.rootid <> ''
)
--]
-- OFFSET 0 makes each of these a probe of an index whatever the planner thinks of the numbers
--[probe
candidate AS MATERIALIZED (
--[by_createat
	SELECT p.id, p.createat, p.editat, p.deleteat, p.updateat, p.userid, p.channelid,
	       p.rootid, p.originalid, p.type, p.ispinned, p.hashtags, p.filenames
--[bytes
	       , p.message, p.props
--]
	FROM posts p
	WHERE p.createat < $3 AND ($1::text[] IS NULL OR p.channelid = ANY ($1)) AND (p.rootid <> '' OR p.originalid <> '') IS NOT TRUE
--[since
	  AND p.createat >= ($22)[1]
--]
--]
--[by_channel
	SELECT p.id, p.createat, p.editat, p.deleteat, p.updateat, p.userid, p.channelid,
	       p.rootid, p.originalid, p.type, p.ispinned, p.hashtags, p.filenames
--[bytes
	       , p.message, p.props
--]
	FROM unnest($1::text[], $2::bigint[], $22) c (id, cut, since) CROSS JOIN LATERAL (
		SELECT q.* FROM posts q WHERE q.channelid = c.id AND q.deleteat = 0 AND q.createat < c.cut
--[since
			AND q.createat >= c.since
--]
		UNION ALL
		SELECT q.* FROM posts q WHERE q.channelid = c.id AND q.deleteat > 0 AND q.createat < c.cut
--[since
			AND q.createat >= c.since
--]
		UNION ALL
		SELECT q.* FROM posts q WHERE q.channelid = c.id AND q.deleteat IS NULL AND q.createat < c.cut
--[since
			AND q.createat >= c.since
--]
	) p
	WHERE (p.rootid <> '' OR p.originalid <> '') IS NOT TRUE
--]
--[by_root
	SELECT p.id, p.createat, p.editat, p.deleteat, p.updateat, p.userid, p.channelid,
	       p.rootid, p.originalid, p.type, p.ispinned, p.hashtags, p.filenames
--[bytes
	       , p.message, p.props
--]
	FROM unnest($5::text[]) c (id) CROSS JOIN LATERAL (SELECT q.* FROM posts q WHERE q.id = c.id OFFSET 0) p
	WHERE (p.rootid <> '' OR p.originalid <> '') IS NOT TRUE
--]
),
reply AS MATERIALIZED (
	SELECT p.id, p.createat, p.editat, p.deleteat, p.updateat, p.userid, p.channelid,
	       p.rootid, p.originalid, p.type, p.ispinned, p.hashtags, p.filenames
--[bytes
	       , p.message, p.props
--]
	FROM candidate r CROSS JOIN LATERAL (SELECT q.* FROM posts q WHERE q.rootid = r.id OFFSET 0) p
),
member AS (
	SELECT p.id AS thread, true AS root, p.* FROM candidate p
	UNION ALL
	SELECT p.rootid, false, p.* FROM reply p
	UNION ALL
	SELECT r.id, false, p.id, p.createat, p.editat, p.deleteat, p.updateat, p.userid, p.channelid,
	       p.rootid, p.originalid, p.type, p.ispinned, p.hashtags, p.filenames
--[bytes
	       , p.message, p.props
--]
	FROM candidate r CROSS JOIN LATERAL (SELECT q.* FROM posts q WHERE q.originalid = r.id AND coalesce(q.rootid, '') <> r.id OFFSET 0) p
	UNION ALL
	SELECT r.rootid, false, p.id, p.createat, p.editat, p.deleteat, p.updateat, p.userid, p.channelid,
	       p.rootid, p.originalid, p.type, p.ispinned, p.hashtags, p.filenames
--[bytes
	       , p.message, p.props
--]
	FROM reply r CROSS JOIN LATERAL (SELECT q.* FROM posts q WHERE q.originalid = r.id AND coalesce(q.rootid, '') <> r.rootid OFFSET 0) p
)
--]
SELECT m.thread, m.channelid, m.createat, CASE WHEN m.editat > m.createat THEN m.editat END AS editat,
	CASE WHEN m.root THEN 65536 ELSE 0 END
--[split
	| CASE WHEN m.rootid <> '' THEN 262144 ELSE 0 END
--]
	| CASE WHEN m.createat >= 946684800000 AND m.createat <= $6 THEN 0 ELSE 4096 END
	| CASE WHEN m.type = 'burn_on_read' THEN 256 ELSE 0 END
--[probe
-- damage: a copy that belongs to another thread; rows that point at a row of the thread and would be left hanging; an
-- id that no server makes (export_odd.sql; mm_fold.c looks at those of roots)
	| CASE WHEN m.root THEN 0
		WHEN octet_length(m.id) > 26 OR m.id ~ '[\x01-\x1f"\\]' THEN 4096
		WHEN m.rootid <> m.thread AND m.rootid <> '' THEN 4096
		WHEN EXISTS (SELECT FROM posts q WHERE q.rootid = m.id OFFSET 0) THEN 4096
		WHEN m.originalid <> '' AND coalesce(m.rootid, '') = ''
			AND EXISTS (SELECT FROM posts q WHERE q.originalid = m.id AND coalesce(q.rootid, '') <> m.thread OFFSET 0) THEN 4096
		ELSE 0 END
--]
--[probe
--[temporary
--[listed
	| CASE WHEN m.id::text = ANY ($23) THEN 256 ELSE 0 END
--]
--[each
	| CASE WHEN EXISTS (SELECT FROM temporaryposts t WHERE t.postid = m.id OFFSET 0) THEN 256 ELSE 0 END
--]
--]
--]
--[unlisted
-- attachments of before the table fileinfo, which the server has never entered there
--[scan
	| CASE WHEN strpos(m.filenames, '"') > 0 THEN 131072 ELSE 0 END
--]
--[probe
	| CASE WHEN strpos(m.filenames, '"') > 0 AND coalesce(m.originalid, '') = ''
			AND NOT EXISTS (SELECT FROM fileinfo u WHERE u.postid = m.id OFFSET 0) THEN 2048 ELSE 0 END
--]
--]
--[pinned
	| CASE WHEN m.ispinned AND coalesce(m.deleteat, 0) = 0 THEN 1 ELSE 0 END
--]
--[probe
--[flagged
	| CASE WHEN EXISTS (SELECT FROM preferences f WHERE f.category = 'flagged_post' AND f.name = m.id OFFSET 0) THEN 2 ELSE 0 END
--]
--]
--[authors
	| CASE WHEN m.userid = ANY ($7) THEN 4 ELSE 0 END
--]
--[hashtags
	| CASE WHEN m.hashtags <> '' AND coalesce(m.deleteat, 0) = 0 AND m.hashtags ~ $8::text THEN 8 ELSE 0 END
--]
--[legal
	| CASE WHEN lc.id IS NOT NULL THEN 32 ELSE 0 END
--]
--[probe
--[property
--[listed
	| CASE WHEN m.id::text = ANY ($24) THEN 64 ELSE 0 END
--]
--[each
	| CASE WHEN EXISTS (SELECT FROM propertyvalues v WHERE v.targetid = m.id AND v.targettype = 'post' AND v.fieldid = ANY ($21)
			    AND v.deleteat = 0 AND lower((v.value #>> '{}') COLLATE "C") IN ('pending', 'assigned') OFFSET 0) THEN 64 ELSE 0 END
--]
--]
--]
--[compliance
	| CASE WHEN coalesce((m.updateat, m.id) > ($9, $25), true) AND starts_with(coalesce(m.type, ''), 'system_') IS FALSE THEN 128 ELSE 0 END
--]
	AS bits
--[hold
	, least(hu.hold, hc.hold) AS hold
--]
--[bytes
	, coalesce(octet_length(m.message), 0)
	+ CASE WHEN pg_column_size(m.props) = 5 THEN 2 ELSE coalesce(octet_length(m.props::text), 0) END
--[grouped
	+ coalesce(f.size, 0)
--]
--[lateral
	+ coalesce(f.size, 0)
--]
	AS bytes
--]
FROM member m
--[hold
LEFT JOIN unnest($10::text[], $11::bigint[], $12::bigint[], $13::int[]) hu (id, since, until, hold)
	ON hu.id = m.userid AND m.createat >= hu.since AND m.createat < hu.until
LEFT JOIN unnest($14::text[], $15::bigint[], $16::bigint[], $17::int[]) hc (id, since, until, hold)
	ON hc.id = m.channelid AND m.createat >= hc.since AND m.createat < hc.until
--]
--[legal
LEFT JOIN unnest($18::text[], $19::bigint[], $20::bigint[]) lc (id, since, until)
	ON lc.id = m.channelid AND m.createat >= lc.since AND m.createat < lc.until
--]
--[bytes
--[grouped
LEFT JOIN (SELECT g.postid, (sum(g.size) FILTER (WHERE g.size BETWEEN 0 AND 1125899906842624))::bigint AS size FROM fileinfo g WHERE g.postid <> '' GROUP BY g.postid) f ON f.postid = m.id
--]
--[lateral
LEFT JOIN LATERAL (SELECT (sum(g.size) FILTER (WHERE g.size BETWEEN 0 AND 1125899906842624))::bigint AS size FROM fileinfo g WHERE g.postid = m.id) f ON true
--]
--]

-- All rows of the unit's threads that name their thread's root themselves: root, rows with that rootid (replies and
-- their edit copies), edit copies of the root.  Inside a thread: the root first, its edit copies, then by createat;
-- edit copies behind their post.  seq numbers them, tid is where the snapshot saw them; is it a root, and at the place
-- where it must be if the threads before it are as the plan counted them; was it written or changed since the plan; and
-- has it an id that no server makes (export_odd.sql)? One pass over posts.  Most posts of a server are roots, and those
-- that were written outside the time of the unit's roots need no look at its list.  The list goes as values, which
-- parallel workers can be given: they may not read a temporary table.  One is unnested and hashed by each of them; what
-- else there is of a thread stands in the other at the same number.  The last two keys of the order decide nothing:
-- what is a key the workers compute, and fewer columns come to be merged.  A thread has one root, which needs no key
-- behind its kind.
-- Parameters: $1 changed since (ms), $2 and $3 createat of the first and the last root.  Locks: none.
CREATE TEMPORARY TABLE mmr_post ON COMMIT DROP AS
WITH list AS MATERIALIZED (
	SELECT array_agg(t.root) AS root, array_agg(t.place) AS place FROM (SELECT root, place FROM pg_temp.mmr_thread ORDER BY thread) t
)
SELECT c.seq, c.thread - 1 AS thread, c.id, c.tid, c.marks & 1 <> 0 AS root, c.marks & 1 <> 0 AND c.seq = (SELECT place FROM list)[c.thread] AS placed,
       c.marks & 2 <> 0 AS changed, c.marks & 4 <> 0 AS odd
FROM (
	SELECT row_number() OVER (ORDER BY w.thread, CASE WHEN p.id = w.root THEN 0 WHEN p.originalid = w.root THEN 1 ELSE 2 END, p.createat,
				  (CASE WHEN p.id = w.root THEN '' WHEN p.originalid <> '' THEN p.originalid ELSE p.id END) COLLATE "C",
				  p.id <> w.root AND coalesce(p.originalid, '') <> '', p.deleteat, p.id COLLATE "C", m.marks) AS seq,
	       w.thread, p.id COLLATE "C" AS id, p.ctid AS tid, m.marks
	FROM posts p
	JOIN unnest((SELECT root FROM list)) WITH ORDINALITY AS w (root, thread)
	  ON w.root = CASE WHEN p.rootid <> '' THEN p.rootid WHEN p.originalid <> '' THEN p.originalid ELSE p.id END
	CROSS JOIN LATERAL (
		SELECT (p.id = w.root)::integer
		       + 2 * (coalesce(p.updateat >= $1::bigint, false) OR coalesce(p.createat >= $1::bigint, false))::integer
		       + 4 * (octet_length(p.id) > 26 OR p.id ~ '[\x01-\x1f"\\]')::integer AS marks
	) m
	WHERE p.createat BETWEEN $2::bigint AND $3::bigint OR p.rootid <> '' OR p.originalid <> ''
) c

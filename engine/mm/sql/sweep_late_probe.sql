-- As sweep_late_replies, by index probes: for a bundle that is small beside the table.
-- Parameters: $1 do copies count (bool)?  Locks: none.  Indexes: posts (rootid, deleteat), (originalid).
SELECT g.id, g.bundle FROM pg_temp.mmr_gone g
CROSS JOIN LATERAL (SELECT count(*) AS n FROM (SELECT FROM posts WHERE rootid = g.id LIMIT 1) x) p
CROSS JOIN LATERAL (SELECT count(*) AS n FROM (SELECT FROM posts WHERE originalid = g.id LIMIT 1) x) c
WHERE g.root AND (p.n > 0 OR c.n > 0 AND $1::boolean)

-- As sweep_late_replies, by index probes: for a bundle that is small beside the table.  Index: posts (rootid, deleteat).
SELECT g.id, g.bundle FROM pg_temp.mmr_gone g
CROSS JOIN LATERAL (SELECT count(*) AS n FROM (SELECT FROM posts WHERE rootid = g.id LIMIT 1) x) p
WHERE g.root AND p.n > 0

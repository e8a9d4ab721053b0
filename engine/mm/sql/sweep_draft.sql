-- Late drafts: their thread was deleted by this run.  Parameters: none.  Locks: the rows.
-- No index on rootid: the drafts of threads (few) are looked up among the posts, not the other way round.
DELETE FROM drafts t WHERE t.ctid IN (
	SELECT d.ctid FROM (SELECT ctid, rootid FROM drafts WHERE rootid <> '' OFFSET 0) d
	WHERE d.rootid IN (SELECT id FROM pg_temp.mmr_gone WHERE root))
RETURNING to_jsonb(t)::text

-- Late drafts: their thread was deleted by this run.  Parameters: none.  Locks: the rows.
-- No index on rootid: one pass over the drafts of threads.
DELETE FROM drafts t
USING (SELECT d.at, g.bundle FROM (SELECT ctid AS at, rootid FROM drafts WHERE rootid <> '' OFFSET 0) d
       JOIN pg_temp.mmr_late g ON g.id = d.rootid WHERE g.root) x
WHERE t.ctid = x.at RETURNING to_jsonb(t)::text, x.bundle

-- Late rows of drafts: their post was deleted by this run.  Parameters: none.  Locks: the rows.
DELETE FROM drafts t USING pg_temp.mmr_gone g WHERE t.rootid = g.id RETURNING to_jsonb(t)::text

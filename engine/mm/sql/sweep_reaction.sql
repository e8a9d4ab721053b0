-- Late rows of reactions: their post was deleted by this run.  Parameters: none.  Locks: the rows.
DELETE FROM reactions t USING pg_temp.mmr_late g WHERE t.postid = g.id RETURNING to_jsonb(t)::text, g.bundle

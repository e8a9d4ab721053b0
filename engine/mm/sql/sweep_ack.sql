-- Late rows of postacknowledgements: their post was deleted by this run.  Parameters: none.  Locks: the rows.
DELETE FROM postacknowledgements t USING pg_temp.mmr_late g WHERE t.postid = g.id RETURNING to_jsonb(t)::text, g.bundle

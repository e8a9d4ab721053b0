-- Late rows of translations: their post was deleted by this run.  Parameters: none.  Locks: the rows.
DELETE FROM translations t USING pg_temp.mmr_late g WHERE t.objectid = g.id AND (t.objecttype = 'post' OR t.objecttype IS NULL) RETURNING to_jsonb(t)::text, g.bundle

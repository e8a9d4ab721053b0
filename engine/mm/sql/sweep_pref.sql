-- Late rows of preferences: their post was deleted by this run.  Parameters: none.  Locks: the rows.
DELETE FROM preferences t USING pg_temp.mmr_late g WHERE t.name = g.id AND t.category = 'flagged_post' RETURNING to_jsonb(t)::text, g.bundle

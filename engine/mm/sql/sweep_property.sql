-- Late rows of propertyvalues: their post was deleted by this run.  Parameters: none.  Locks: the rows.
DELETE FROM propertyvalues t USING pg_temp.mmr_late g WHERE t.targetid = g.id AND t.targettype = 'post' RETURNING to_jsonb(t)::text, g.bundle

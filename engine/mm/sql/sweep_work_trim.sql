-- Posts that are in the database were kept or have been put back: not gone.  Index: posts primary key.
DELETE FROM pg_temp.mmr_gone g USING posts p WHERE p.id = g.id

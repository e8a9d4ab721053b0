-- Load files that a journal names.  Parameters: $1 number of the first entry; $2 of the journal; $3 $4 $5 $6 text[]:
-- ids, paths, thumbnail paths, preview paths.
-- Locks: none on server tables.
INSERT INTO pg_temp.mmr_unlink SELECT $1::bigint + u.ord - 1, $2::bigint, u.id, u.path, u.thumbnail, u.preview
FROM unnest($3::text[], $4::text[], $5::text[], $6::text[]) WITH ORDINALITY AS u (id, path, thumbnail, preview, ord)

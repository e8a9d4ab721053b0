-- Load the files that the journal names.  Parameters: $1 number of the first entry; $2 $3 $4 $5 text[]: ids, paths, thumbnail paths, preview paths.
-- Locks: none on server tables.
INSERT INTO pg_temp.mmr_unlink SELECT $1::bigint + u.ord - 1, u.id, u.path, u.thumbnail, u.preview
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) WITH ORDINALITY AS u (id, path, thumbnail, preview, ord)

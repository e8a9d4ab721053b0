-- $1 $2 $3 $4 text[]: ids, paths, thumbnail paths, preview paths.
INSERT INTO pg_temp.mmr_unlink SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])

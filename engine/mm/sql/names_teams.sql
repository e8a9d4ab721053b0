-- Names of teams for a bundle: id, name, display name, further JSON members.
-- Parameters: $1 ids (text[]).  Locks: none beyond a read.  Index: teams primary key.
SELECT id, COALESCE(name, ''), COALESCE(displayname, ''), '"type":' || to_json(COALESCE(type::text, ''))::text
  FROM teams WHERE id = ANY ($1::text[])
 ORDER BY id COLLATE "C"

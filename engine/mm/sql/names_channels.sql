-- Names of channels for a bundle: id, name, display name, further JSON members.
-- Parameters: $1 ids (text[]).  Locks: none beyond a read.  Index: channels primary key.
SELECT id, COALESCE(name, ''), COALESCE(displayname, ''),
       '"type":' || to_json(COALESCE(type::text, ''))::text
       || CASE WHEN teamid <> '' THEN ',"team":' || to_json(teamid)::text ELSE '' END
  FROM channels WHERE id = ANY ($1::text[])
 ORDER BY id COLLATE "C"

-- Names of channels for a bundle: id, name, display name, further JSON members, and the ids of the people in a direct
-- or group message, with commas. A group message's name does not say who was in it, so its account names are listed.
-- Parameters: $1 ids (text[]).  Locks: none beyond a read.  Index: primary keys of channels, channelmembers, users.
SELECT c.id, COALESCE(c.name, ''), COALESCE(c.displayname, ''),
       '"type":' || to_json(COALESCE(c.type::text, ''))::text
       || CASE WHEN c.teamid <> '' THEN ',"team":' || to_json(c.teamid)::text ELSE '' END
       || CASE WHEN c.type::text = 'G'
          THEN COALESCE((SELECT ',"members":' || json_agg(u.username ORDER BY u.username COLLATE "C")::text
                           FROM channelmembers m JOIN users u ON u.id = m.userid WHERE m.channelid = c.id), '')
          ELSE '' END,
       CASE c.type::text WHEN 'D' THEN replace(COALESCE(c.name, ''), '__', ',')
          WHEN 'G' THEN COALESCE((SELECT string_agg(m.userid, ',' ORDER BY m.userid COLLATE "C") FROM channelmembers m WHERE m.channelid = c.id), '')
          ELSE '' END
  FROM channels c WHERE c.id = ANY ($1::text[])
 ORDER BY c.id COLLATE "C"

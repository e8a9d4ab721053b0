-- All channels with their teams, in no order: the server's sort takes longer than the rest of it.
-- Parameters: none.  Locks: none beyond a read.  Reads both tables as a whole (they are small).
SELECT c.id, COALESCE(c.teamid, ''), COALESCE(c.name, ''), COALESCE(c.displayname, ''), COALESCE(t.name, ''),
       COALESCE(t.displayname, ''), COALESCE(c.type::text, ''), COALESCE(c.deleteat, 0) > 0, COALESCE(t.deleteat, 0) > 0
  FROM channels c LEFT JOIN teams t ON t.id = c.teamid AND c.teamid <> ''

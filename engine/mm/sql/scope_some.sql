-- Some channels with their teams, as scope_channels.sql has them.  A channel that is gone has no row.
-- Parameters: $1 text[] channel ids.  Locks: none beyond a read.  Indexes: primary keys of both tables.
SELECT c.id, COALESCE(c.teamid, ''), COALESCE(c.name, ''), COALESCE(c.displayname, ''), COALESCE(t.name, ''),
       COALESCE(t.displayname, ''), COALESCE(c.type::text, ''), COALESCE(c.deleteat, 0) > 0, COALESCE(t.deleteat, 0) > 0
  FROM unnest($1::text[]) AS u(id) JOIN channels c ON c.id = u.id LEFT JOIN teams t ON t.id = c.teamid AND c.teamid <> ''

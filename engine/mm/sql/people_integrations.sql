-- What one person owns and others may depend on: kind, id, name.  Deleted ones are left out.
-- Parameters: $1 user id.  Locks: none.  Index: none by owner in most, the tables are small.
SELECT 'incoming webhook', id, coalesce(displayname, '') FROM incomingwebhooks WHERE userid = $1::text AND deleteat = 0
UNION ALL
SELECT 'outgoing webhook', id, coalesce(displayname, '') FROM outgoingwebhooks WHERE creatorid = $1::text AND deleteat = 0
UNION ALL
SELECT 'slash command', id, coalesce(trigger, '') FROM commands WHERE creatorid = $1::text AND deleteat = 0
UNION ALL
SELECT 'OAuth application', id, coalesce(name, '') FROM oauthapps WHERE creatorid = $1::text
UNION ALL
SELECT 'outgoing OAuth connection', id, coalesce(name, '') FROM outgoingoauthconnections WHERE creatorid = $1::text
UNION ALL
SELECT 'bot', b.userid, coalesce(u.username, '') FROM bots b LEFT JOIN users u ON u.id = b.userid WHERE b.ownerid = $1::text AND b.deleteat = 0
 ORDER BY 1, 2

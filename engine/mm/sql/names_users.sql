-- Names of users for a bundle: id, account name, display name (nickname, else first and last name), further JSON
-- members.  Block named: of these; any: of as many as $1 says, whoever they are.
-- Parameters: $1 ids (text[]), or a number.  Locks: none beyond a read.  Index: users and bots primary keys.
SELECT u.id, COALESCE(u.username, ''),
       COALESCE(NULLIF(btrim(u.nickname), ''), btrim(COALESCE(u.firstname, '') || ' ' || COALESCE(u.lastname, ''))),
       CASE WHEN b.userid IS NOT NULL THEN '"bot":true' ELSE '' END
  FROM users u LEFT JOIN bots b ON b.userid = u.id
--[named
 WHERE u.id = ANY ($1::text[])
 ORDER BY u.id COLLATE "C"
--]
--[any
 LIMIT $1::int
--]

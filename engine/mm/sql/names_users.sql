-- Names of users for a bundle: id, account name, display name (nickname, else first and last name), further JSON
-- members.
-- Parameters: $1 ids (text[]).  Locks: none beyond a read.  Index: users and bots primary keys.
SELECT u.id, COALESCE(u.username, ''),
       COALESCE(NULLIF(btrim(u.nickname), ''), btrim(COALESCE(u.firstname, '') || ' ' || COALESCE(u.lastname, ''))),
       CASE WHEN b.userid IS NOT NULL THEN '"bot":true' ELSE '' END
  FROM users u LEFT JOIN bots b ON b.userid = u.id
 WHERE u.id = ANY ($1::text[])
 ORDER BY u.id COLLATE "C"

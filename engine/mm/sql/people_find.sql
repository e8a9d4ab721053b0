-- One account by id, account name or address, in this order.
-- Columns: id, account name, address, deleteat, updateat, of another server, bot, depersonalised.
-- Parameters: $1 domain with its @, $2 what was asked.  Locks: none.  Index: users primary key, users(username),
-- users(email).
SELECT u.id, coalesce(u.username, ''), coalesce(u.email, ''), coalesce(u.deleteat, 0), coalesce(u.updateat, 0),
       coalesce(u.remoteid, '') <> '', EXISTS (SELECT FROM bots b WHERE b.userid = u.id),
       coalesce(regexp_replace(u.email, '-[0-9]{1,2}@', '@') = lower(u.id COLLATE "C") || $1::text AND u.authdata IS NULL AND coalesce(u.password, '') = '', false)
  FROM users u WHERE u.id = $2::text OR u.username = lower(ltrim($2::text, '@') COLLATE "C") COLLATE "default" OR u.email = lower($2::text COLLATE "C") COLLATE "default"
 ORDER BY CASE WHEN u.id = $2::text THEN 0 WHEN u.username = lower(ltrim($2::text, '@') COLLATE "C") COLLATE "default" THEN 1 ELSE 2 END
 LIMIT 1

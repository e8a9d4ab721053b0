-- Deactivated accounts, the longest deactivated first.
-- Columns: id, account name, address, deleteat, updateat, of another server, bot, depersonalised, identity system of
-- its sign-in id or ''.
-- Parameters: $1 domain with its @.  Locks: none.  Index: users(deleteat), bots primary key.
SELECT u.id, coalesce(u.username, ''), coalesce(u.email, ''), coalesce(u.deleteat, 0), coalesce(u.updateat, 0),
       coalesce(u.remoteid, '') <> '', EXISTS (SELECT FROM bots b WHERE b.userid = u.id),
       coalesce(regexp_replace(u.email, '-[0-9]{1,2}@', '@') = lower(u.id COLLATE "C") || $1::text AND u.authdata IS NULL AND coalesce(u.password, '') = '', false),
       CASE WHEN coalesce(u.authdata, '') = '' OR u.authservice IN ('email', 'magic_link') THEN '' ELSE coalesce(nullif(u.authservice, ''), 'unknown') END
  FROM users u WHERE u.deleteat > 0
 ORDER BY u.deleteat, u.id COLLATE "C"

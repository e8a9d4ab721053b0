-- One account, locked to the end of the transaction: it cannot be reactivated meanwhile.
-- Columns: id, account name, address, deleteat, updateat, of another server, bot, depersonalised; the first address of
-- id@, id-1@ .. id-99@ that no other account has, in any case of letters, or NULL; who else has the pseudonym, or NULL.
-- Parameters: $1 domain with its @, $2 user id, $3 pseudonym or NULL.  Locks: the users row.  Index: users primary key,
-- users(lower(email)), users(username). "default", or the index on lower(email) is not used.
SELECT u.id, coalesce(u.username, ''), coalesce(u.email, ''), coalesce(u.deleteat, 0), coalesce(u.updateat, 0),
       coalesce(u.remoteid, '') <> '', EXISTS (SELECT FROM bots b WHERE b.userid = u.id),
       coalesce(regexp_replace(u.email, '-[0-9]{1,2}@', '@') = lower(u.id COLLATE "C") || $1::text AND u.authdata IS NULL AND coalesce(u.password, '') = '', false),
       coalesce((SELECT f.address FROM (SELECT lower($2::text COLLATE "C") || $1::text AS address) f
                  WHERE NOT EXISTS (SELECT FROM users o WHERE lower(o.email) = f.address COLLATE "default" AND o.id <> $2::text)),
                (SELECT f.address FROM (SELECT n, lower($2::text COLLATE "C") || '-' || n || $1::text AS address FROM generate_series(1, 99) n) f
                  WHERE NOT EXISTS (SELECT FROM users o WHERE lower(o.email) = f.address COLLATE "default" AND o.id <> $2::text)
                  ORDER BY f.n LIMIT 1)),
       (SELECT o.id FROM users o WHERE o.username = $3::text AND o.id <> $2::text)
  FROM users u WHERE u.id = $2::text
   FOR UPDATE OF u

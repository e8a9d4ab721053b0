-- One account, locked to the end of the transaction: it cannot be reactivated meanwhile.
-- Columns: id, account name, address, deleteat, updateat, of another server, bot, depersonalised.
-- Parameters: $1 domain with its @, $2 user id.  Locks: the users row.  Index: users primary key.
SELECT u.id, coalesce(u.username, ''), coalesce(u.email, ''), coalesce(u.deleteat, 0), coalesce(u.updateat, 0),
       coalesce(u.remoteid, '') <> '', EXISTS (SELECT FROM bots b WHERE b.userid = u.id),
       coalesce(u.email = u.id || $1::text AND u.authdata IS NULL AND coalesce(u.password, '') = '', false)
  FROM users u WHERE u.id = $2::text
   FOR UPDATE OF u

-- Depersonalised accounts whose picture should be gone.
-- Parameters: $1 domain with its @.  Locks: none.  Index: users(deleteat).
SELECT u.id FROM users u
 WHERE u.deleteat > 0 AND regexp_replace(u.email, '-[0-9]{1,2}@', '@') = lower(u.id COLLATE "C") || $1::text AND u.authdata IS NULL AND u.lastpictureupdate < 0
 ORDER BY u.id COLLATE "C"

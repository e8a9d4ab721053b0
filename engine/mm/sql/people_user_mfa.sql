-- Times at which a departed person used one-time codes.
-- Parameters: $1 user id.  Locks: the row.  Index: primary key.
UPDATE users SET mfausedtimestamps = '[]' WHERE id = $1::text

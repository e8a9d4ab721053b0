-- The position (job title) of a departed person.
-- Parameters: $1 user id.  Locks: the row.  Index: primary key.
UPDATE users SET position = '' WHERE id = $1::text

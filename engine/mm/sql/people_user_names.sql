-- The names of a departed person where the policy wants a pseudonym.
-- Parameters: $1 user id, $2 pseudonym.  Locks: the row.  Index: primary key.
UPDATE users SET username = $2::text, nickname = '', firstname = '', lastname = '' WHERE id = $1::text

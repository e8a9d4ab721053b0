-- Preferences of one person, saved posts included: removed.
-- Parameters: $1 user id.  Locks: the rows.  Index: primary key (userid first).
DELETE FROM preferences WHERE userid = $1::text

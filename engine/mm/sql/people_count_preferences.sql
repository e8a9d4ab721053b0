-- Preferences of one person, saved posts included: how many.
-- Parameters: $1 user id.  Locks: none.  Index: primary key (userid first).
SELECT count(*) FROM preferences WHERE userid = $1::text

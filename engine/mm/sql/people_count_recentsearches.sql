-- Searches of one person: how many.
-- Parameters: $1 user id.  Locks: none.  Index: primary key (userid first).
SELECT count(*) FROM recentsearches WHERE userid = $1::bpchar

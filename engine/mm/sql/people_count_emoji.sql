-- Emoji that one person made: how many.
-- Parameters: $1 user id.  Locks: none.  Index: none, the table is small.
SELECT count(*) FROM emoji WHERE creatorid = $1::text

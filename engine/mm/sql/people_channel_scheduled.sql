-- Who of some accounts has a scheduled message for a channel of a hold, of whatever time: what was not sent has none.
-- Columns: user id.  Parameters: $1 user ids, $2 channels of the hold (text[]).  Locks: none.  Index:
-- scheduledposts(userid).
SELECT DISTINCT s.userid FROM scheduledposts s WHERE s.userid = ANY ($1::text[]) AND s.channelid = ANY ($2::text[])

-- Who of some accounts has a draft in a channel of a hold, of whatever time: what was not sent has none.
-- Columns: user id.  Parameters: $1 user ids, $2 channels of the hold (text[]).  Locks: none.  Index: drafts primary
-- key.
SELECT DISTINCT d.userid FROM drafts d WHERE d.userid = ANY ($1::text[]) AND d.channelid = ANY ($2::text[])

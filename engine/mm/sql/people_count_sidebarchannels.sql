-- Channels in one person's sidebar categories: how many.
-- Parameters: $1 user id.  Locks: none.  Index: none by user: a scan.
SELECT count(*) FROM sidebarchannels WHERE userid = $1::text

-- Channels in one person's sidebar categories: removed.
-- Parameters: $1 user id.  Locks: the rows.  Index: none by user: a scan.
DELETE FROM sidebarchannels WHERE userid = $1::text

-- Parts of the summaries that were made for one person: removed.
-- Parameters: $1 user id.  Locks: the rows.  Index: recapchannels(recapid), recaps(userid).
DELETE FROM recapchannels WHERE recapid IN (SELECT r.id FROM recaps r WHERE r.userid = $1::text)

-- Parts of the summaries that were made for one person: how many.
-- Parameters: $1 user id.  Locks: none.  Index: recapchannels(recapid), recaps(userid).
SELECT count(*) FROM recapchannels WHERE recapid IN (SELECT r.id FROM recaps r WHERE r.userid = $1::text)

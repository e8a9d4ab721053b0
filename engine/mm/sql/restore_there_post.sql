-- Whether the row of posts with this id is the one that was archived, however it was edited since.  Parameters: $1
-- jsonb: an object with every column.
-- Columns: id, same thread, author and time.  Locks: none.  Index: primary key.
SELECT t.id, t.channelid IS NOT DISTINCT FROM a.channelid AND coalesce(t.rootid, '') = coalesce(a.rootid, '')
       AND coalesce(t.originalid, '') = coalesce(a.originalid, '') AND t.userid IS NOT DISTINCT FROM a.userid AND t.createat IS NOT DISTINCT FROM a.createat
FROM jsonb_populate_record(NULL::posts, $1::jsonb) a JOIN posts t ON t.id = a.id

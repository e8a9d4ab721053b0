-- Whether the row of fileinfo with this id is the one that was archived, however it was edited since.  Parameters: $1
-- jsonb: an object with every column.
-- Columns: id, same post and time.  Locks: none.  Index: primary key.
SELECT t.id, coalesce(t.postid, '') = coalesce(a.postid, '') AND t.createat IS NOT DISTINCT FROM a.createat
FROM jsonb_populate_record(NULL::fileinfo, $1::jsonb) a JOIN fileinfo t ON t.id = a.id

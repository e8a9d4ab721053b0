-- Whether the row of sharedchannelattachments with this id is the one that was archived, however it was edited since.
-- Parameters: $1 jsonb: an object with every column.
-- Columns: id, same file.  Locks: none.  Index: primary key.
SELECT t.id, t.fileid IS NOT DISTINCT FROM a.fileid
FROM jsonb_populate_record(NULL::sharedchannelattachments, $1::jsonb) a JOIN sharedchannelattachments t ON t.id = a.id

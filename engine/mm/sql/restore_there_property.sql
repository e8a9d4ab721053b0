-- Whether the row of propertyvalues with this id is the one that was archived, however it was edited since.
-- Parameters: $1 jsonb: an object with every column.
-- Columns: id, same target.  Locks: none.  Index: primary key.
SELECT t.id, t.targetid IS NOT DISTINCT FROM a.targetid AND t.targettype IS NOT DISTINCT FROM a.targettype
FROM jsonb_populate_record(NULL::propertyvalues, $1::jsonb) a JOIN propertyvalues t ON t.id = a.id

-- Put one row of fileinfo back.  Parameters: $1 jsonb: an object with every column; $2 a row with the JSON nulls, or
-- NULL.  A row that is there already stays as it is.
-- Locks: the new row; waits for whoever is inserting one with the same key.  Index: primary key.
INSERT INTO fileinfo SELECT * FROM jsonb_populate_record($2::fileinfo, $1::jsonb) ON CONFLICT DO NOTHING

-- Put one row of fileinfo back.  $1 jsonb: an object with every column.  A row that is there already stays as it is.
INSERT INTO fileinfo SELECT * FROM jsonb_populate_record(NULL::fileinfo, $1::jsonb) ON CONFLICT DO NOTHING

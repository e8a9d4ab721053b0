-- Put one row of persistentnotifications back.  $1 jsonb: an object with every column.  A row that is there already stays as it is.
INSERT INTO persistentnotifications SELECT * FROM jsonb_populate_record(NULL::persistentnotifications, $1::jsonb) ON CONFLICT DO NOTHING

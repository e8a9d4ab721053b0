-- Put one row of reactions back.  $1 jsonb: an object with every column.  A row that is there already stays as it is.
INSERT INTO reactions SELECT * FROM jsonb_populate_record(NULL::reactions, $1::jsonb) ON CONFLICT DO NOTHING

-- Put one row of threads back.  $1 jsonb: an object with every column.  A row that is there already stays as it is.
INSERT INTO threads SELECT * FROM jsonb_populate_record(NULL::threads, $1::jsonb) ON CONFLICT DO NOTHING

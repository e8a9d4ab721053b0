-- Put one row of postreminders back.  $1 jsonb: an object with every column.  A row that is there already stays as it is.
INSERT INTO postreminders SELECT * FROM jsonb_populate_record(NULL::postreminders, $1::jsonb) ON CONFLICT DO NOTHING

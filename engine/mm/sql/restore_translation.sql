-- Put one row of translations back.  $1 jsonb: an object with every column.  A row that is there already stays as it is.
INSERT INTO translations SELECT * FROM jsonb_populate_record(NULL::translations, $1::jsonb) ON CONFLICT DO NOTHING

-- Put one row of translations back.  $1 jsonb: an object with every column; $2 a row with the JSON nulls, or NULL.  A row that is there already stays as it is.
INSERT INTO translations SELECT * FROM jsonb_populate_record($2::translations, $1::jsonb) ON CONFLICT DO NOTHING

-- Put one row of postspriority back.  $1 jsonb: an object with every column; $2 a row with the JSON nulls, or NULL.  A row that is there already stays as it is.
INSERT INTO postspriority SELECT * FROM jsonb_populate_record($2::postspriority, $1::jsonb) ON CONFLICT DO NOTHING

-- Put one row of postspriority back.  $1 jsonb: an object with every column.  A row that is there already stays as it is.
INSERT INTO postspriority SELECT * FROM jsonb_populate_record(NULL::postspriority, $1::jsonb) ON CONFLICT DO NOTHING

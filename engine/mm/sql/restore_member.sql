-- Put one row of threadmemberships back.  $1 jsonb: an object with every column.  A row that is there already stays as it is.
INSERT INTO threadmemberships SELECT * FROM jsonb_populate_record(NULL::threadmemberships, $1::jsonb) ON CONFLICT DO NOTHING

-- Put one row of posts back.  $1 jsonb: an object with every column.  A row that is there already stays as it is.
INSERT INTO posts SELECT * FROM jsonb_populate_record(NULL::posts, $1::jsonb) ON CONFLICT DO NOTHING

-- Put one row of temporaryposts back.  $1 jsonb: an object with every column.  A row that is there already stays as it is.
INSERT INTO temporaryposts SELECT * FROM jsonb_populate_record(NULL::temporaryposts, $1::jsonb) ON CONFLICT DO NOTHING

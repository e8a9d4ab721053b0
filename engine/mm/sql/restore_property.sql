-- Put one row of propertyvalues back.  $1 jsonb: an object with every column.  A row that is there already stays as it is.
INSERT INTO propertyvalues SELECT * FROM jsonb_populate_record(NULL::propertyvalues, $1::jsonb) ON CONFLICT DO NOTHING

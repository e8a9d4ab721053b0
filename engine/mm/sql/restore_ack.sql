-- Put one row of postacknowledgements back.  $1 jsonb: an object with every column.  A row that is there already stays as it is.
INSERT INTO postacknowledgements SELECT * FROM jsonb_populate_record(NULL::postacknowledgements, $1::jsonb) ON CONFLICT DO NOTHING

-- Put one row of sharedchannelattachments back.  $1 jsonb: an object with every column.  A row that is there already stays as it is.
INSERT INTO sharedchannelattachments SELECT * FROM jsonb_populate_record(NULL::sharedchannelattachments, $1::jsonb) ON CONFLICT DO NOTHING

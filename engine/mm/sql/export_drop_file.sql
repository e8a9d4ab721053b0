-- Take the attachments of threads out of the unit.  Parameters: $1 bigint[]: thread numbers.  Locks: none on server
-- tables.
DELETE FROM pg_temp.mmr_file WHERE thread = ANY ($1::bigint[])

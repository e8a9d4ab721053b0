-- Take the attachments of threads out of the unit.  $1 bigint[]: thread numbers.
DELETE FROM pg_temp.mmr_file WHERE thread = ANY ($1::bigint[])

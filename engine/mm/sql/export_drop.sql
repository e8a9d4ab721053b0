-- Take threads out of the unit.  $1 bigint[]: thread numbers.
DELETE FROM pg_temp.mmr_post WHERE thread = ANY ($1::bigint[])

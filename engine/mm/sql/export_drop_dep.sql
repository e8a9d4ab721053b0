-- Take rows of other tables out of the unit.  $1 bigint[]: thread numbers.
DELETE FROM pg_temp.mmr_dep WHERE thread = ANY ($1::bigint[])

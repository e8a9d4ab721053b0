-- Take rows of other tables out of the unit.  Parameters: $1 bigint[]: thread numbers.  Locks: none on server tables.
DELETE FROM pg_temp.mmr_dep WHERE thread = ANY ($1::bigint[])

-- Do plugins have a store here, and has the server jobs?  Parameters: none.  Locks: none (catalogue only).
SELECT to_regclass('pluginkeyvaluestore') IS NOT NULL, to_regclass('jobs') IS NOT NULL

-- Do plugins have a store here?  Parameters: none.  Locks: none (catalogue only).
SELECT to_regclass('pluginkeyvaluestore') IS NOT NULL

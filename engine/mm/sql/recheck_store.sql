-- Do plugins have a store here?
SELECT to_regclass('pluginkeyvaluestore') IS NOT NULL

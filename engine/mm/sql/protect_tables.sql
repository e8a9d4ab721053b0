-- Which of the tables that can protect posts exist here; and how large the two are that name single posts (bytes).
-- Parameters: none.
-- Locks: none beyond a read.
SELECT to_regclass('propertyvalues') IS NOT NULL AND to_regclass('propertyfields') IS NOT NULL
		AND to_regclass('propertygroups') IS NOT NULL, to_regclass('temporaryposts') IS NOT NULL,
	to_regclass('pluginkeyvaluestore') IS NOT NULL AND to_regclass('channelmemberhistory') IS NOT NULL,
	to_regclass('groupmembers') IS NOT NULL, to_regclass('jobs') IS NOT NULL,
	coalesce(pg_relation_size(to_regclass('temporaryposts')), 0) + coalesce(pg_relation_size(to_regclass('propertyvalues')), 0)

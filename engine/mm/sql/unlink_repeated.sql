-- Entries of a row that an earlier entry has already: a batch that was rolled back and tried again is journalled twice, once is enough.
SELECT n FROM (SELECT n, row_number() OVER (PARTITION BY id ORDER BY n) AS nth FROM pg_temp.mmr_unlink) u WHERE nth > 1

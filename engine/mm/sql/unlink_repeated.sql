-- Entries of a row that a later entry of the same journal has, too: of a delete that was rolled back and tried again.
-- The later one has what the file was when the row went.
-- Parameters: none.  Locks: none.
SELECT n FROM (SELECT n, row_number() OVER (PARTITION BY journal, id ORDER BY n DESC) AS nth FROM pg_temp.mmr_unlink) u WHERE nth > 1

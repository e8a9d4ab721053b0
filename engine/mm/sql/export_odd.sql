-- Threads of the unit with a row whose id no server makes: longer than 26 bytes, or with signs that JSON escapes (of
-- posts the fill noted it).  Such a row would not be found again by what the bundle calls it.  Where a plan probes
-- threads one by one it has seen them; where it reads the whole table, the cost of looking there is not worth it.
-- Block posts: there may be posts with such an id.
-- Columns: thread.  Parameters: none.  Locks: none.
--[posts
SELECT thread FROM pg_temp.mmr_post WHERE odd
UNION
--]
SELECT DISTINCT thread FROM pg_temp.mmr_file WHERE octet_length(id) > 26 OR id ~ '[\x01-\x1f"\\]'

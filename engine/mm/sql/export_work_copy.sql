-- Load the unit's threads.  Parameters: none (COPY data).  Locks: none on server tables.
COPY pg_temp.mmr_thread (thread, root, posts, place) FROM STDIN

-- Load the unit's threads.  Parameters: none (COPY data).
COPY pg_temp.mmr_thread (thread, root, posts, place) FROM STDIN

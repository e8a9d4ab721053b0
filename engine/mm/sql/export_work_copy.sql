-- Load the unit's root ids.  Parameters: none (COPY data).
COPY pg_temp.mmr_thread (thread, root) FROM STDIN

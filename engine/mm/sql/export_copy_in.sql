-- The unit's list of posts, from the first session.  Parameters: none (COPY data).  Locks: none on server tables.
COPY pg_temp.mmr_post (seq, thread, id) FROM STDIN (FORMAT binary)

-- The unit's list of posts, for a second session.  Parameters: none.  Locks: none on server tables.
COPY pg_temp.mmr_post (seq, thread, id) TO STDOUT (FORMAT binary)

-- The unit's list of posts, for a second session.  Parameters: none.
COPY pg_temp.mmr_post (seq, thread, id) TO STDOUT (FORMAT binary)

-- Load the bundle's posts.  Parameters: none (COPY data).
COPY pg_temp.mmr_gone (id, root) FROM STDIN

-- Load the bundles' posts.  Parameters: none (COPY data).
COPY pg_temp.mmr_gone (id, thread, root, bundle) FROM STDIN

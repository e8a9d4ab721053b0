-- Load the bundles' posts.  Parameters: none (COPY data).  Locks: none on server tables.
COPY pg_temp.mmr_gone (id, thread, root, bundle) FROM STDIN

-- The commit of this transaction need not wait for the server's disk: another of the same bundle follows.  Parameters:
-- none.  Locks: none.
SET LOCAL synchronous_commit = off

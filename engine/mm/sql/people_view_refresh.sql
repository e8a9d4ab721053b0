-- The view of profile attributes, anew.  Parameters: none.  Locks: the view, exclusively (the server reads it in access
-- rules; the wait is bounded).
REFRESH MATERIALIZED VIEW attributeview

-- Database name, whether the cluster's identifier may be read, whether the role is a superuser.
-- Parameters: none.  Locks: none.
SELECT current_database(), has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE'),
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)

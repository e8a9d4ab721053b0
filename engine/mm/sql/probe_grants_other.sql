-- Privileges beside tables that the role lacks: a line each.
-- Parameters: $1 whether temporary tables are needed (boolean).  Locks: none.
SELECT 'USAGE ON SCHEMA ' || quote_ident(current_schema()) WHERE NOT has_schema_privilege(current_schema(), 'USAGE')
UNION ALL
SELECT 'TEMPORARY ON DATABASE ' || quote_ident(current_database())
 WHERE $1::boolean AND NOT has_database_privilege(current_database(), 'TEMPORARY')

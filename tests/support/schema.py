#!/usr/bin/env python3
"""Mattermost's schema (migration 159) from the CSV files in mattermost-schema/.

    schema.py --ddl                    print the DDL
    schema.py --db CONNINFO            install it
    schema.py --db CONNINFO --verify   compare the database with the CSV files; exit 1 and a list when they differ

Library: ddl(), install(conninfo), installed(conninfo), verify(conninfo) -> list of differences.
The CSV files name the materialised views only; their definitions here are our own and merely plausible.
"""
import argparse
import csv
import os
import re
import sys

import psycopg2

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mattermost-schema")
AUTOVACUUM = "autovacuum_vacuum_scale_factor = 0.1, autovacuum_analyze_scale_factor = 0.05"
TUNED = ("posts", "threadmemberships", "preferences", "fileinfo")

VIEWS = {
    "poststats": """
        SELECT userid, to_timestamp(createat / 1000)::date AS day, count(*) AS numposts, max(createat) AS lastpostdate
          FROM posts GROUP BY userid, to_timestamp(createat / 1000)::date""",
    "posts_by_team_day": """
        SELECT to_timestamp(p.createat / 1000)::date AS day, count(*) AS num, c.teamid
          FROM posts p JOIN channels c ON p.channelid = c.id
         GROUP BY c.teamid, to_timestamp(p.createat / 1000)::date""",
    "bot_posts_by_team_day": """
        SELECT to_timestamp(p.createat / 1000)::date AS day, count(*) AS num, c.teamid
          FROM posts p JOIN bots b ON p.userid = b.userid JOIN channels c ON p.channelid = c.id
         GROUP BY c.teamid, to_timestamp(p.createat / 1000)::date""",
    "file_stats": """
        SELECT count(*) AS num, COALESCE(sum(size), 0) AS usage FROM fileinfo WHERE deleteat = 0""",
    "attributeview": """
        SELECT v.groupid, v.targetid, v.targettype, jsonb_object_agg(f.name, v.value) AS attributes
          FROM propertyvalues v JOIN propertyfields f ON f.id = v.fieldid
         WHERE (v.deleteat = 0 OR v.deleteat IS NULL) AND (f.deleteat = 0 OR f.deleteat IS NULL)
         GROUP BY v.groupid, v.targetid, v.targettype""",
}


def rows(name):
    """One CSV file as a list of dictionaries."""
    with open(os.path.join(HERE, name + ".csv"), newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def _type(row):
    if row["type"] == "_varchar":
        return "varchar[]"
    return f'{row["type"]}({row["max_length"]})' if row["max_length"] else row["type"]


def _tables():
    tables = {}
    for row in rows("columns"):
        tables.setdefault(row["table_name"], []).append(row)
    return tables


def _table_ddl(name, columns):
    lines, holes, place = [], [], 1
    for row in columns:
        while place < int(row["position"]):  # a column dropped long ago leaves a hole in the positions
            holes.append(f"dropped_{place}")
            lines.append(f"  dropped_{place} integer")
            place += 1
        line = f'  "{row["column_name"]}" {_type(row)}'
        if row["default_value"]:
            line += f' DEFAULT {row["default_value"]}'
        if row["nullable"] == "NO":
            line += " NOT NULL"
        lines.append(line)
        place += 1
    with_options = f" WITH ({AUTOVACUUM})" if name in TUNED else ""
    text = f'CREATE TABLE "{name}" (\n' + ",\n".join(lines) + f"\n){with_options};\n"
    return text + "".join(f'ALTER TABLE "{name}" DROP COLUMN {hole};\n' for hole in holes)


def _key(key, index):
    if re.fullmatch(r'"?[a-z_]+"?', key):
        return key
    return f"({key})" + (" text_pattern_ops" if index.endswith("_textpattern") else "")


def index_ddl(row):
    """CREATE INDEX for one line of indexes.csv."""
    keys = ", ".join(_key(k, row["index_name"]) for k in row["keys"].split(" | "))
    unique = "UNIQUE " if row["is_unique"] == "t" else ""
    where = f' WHERE {row["predicate"]}' if row["predicate"] else ""
    return f'CREATE {unique}INDEX "{row["index_name"]}" ON "{row["table_name"]}" USING {row["method"]} ({keys}){where};\n'


def gin_indexes():
    """The full text indexes: name -> DDL. A bulk loader may drop them and build them last."""
    return {r["index_name"]: index_ddl(r) for r in rows("indexes") if r["method"] == "gin"}


def ddl(migration=159):
    """The whole schema as one SQL text."""
    out = []
    enums = {}
    for row in rows("enums"):
        enums.setdefault(row["enum_name"], []).append(f"'{row['label']}'")
    out += [f'CREATE TYPE {name} AS ENUM ({", ".join(labels)});\n' for name, labels in enums.items()]
    out += [_table_ddl(name, columns) for name, columns in _tables().items()]
    order = {"primary key": 0, "unique": 1, "foreign key": 2}
    constraints = sorted(rows("constraints"), key=lambda r: order[r["kind"]])
    out += [f'ALTER TABLE "{r["table_name"]}" ADD CONSTRAINT {r["constraint_name"]} {r["definition"]};\n'
            for r in constraints]
    out += [f"CREATE MATERIALIZED VIEW {r['view_name']} AS {VIEWS[r['view_name']].strip()};\n" for r in rows("views")]
    backing = {r["constraint_name"] for r in constraints}
    out += [index_ddl(r) for r in rows("indexes") if r["index_name"] not in backing]
    out.append("CREATE TABLE db_migrations (version bigint PRIMARY KEY, name varchar NOT NULL);\n")
    out.append("CREATE TABLE db_lock (id varchar(64) PRIMARY KEY, expireat bigint);\n")
    out.append("INSERT INTO db_migrations SELECT v, 'step_' || lpad(v::text, 6, '0')"
               f" FROM generate_series(1, {migration}) v WHERE v <> 110;\n")
    return "".join(out)


def installed(conninfo):
    """True when the database already has a posts table."""
    with psycopg2.connect(conninfo) as conn, conn.cursor() as cur:
        cur.execute("SELECT to_regclass('posts') IS NOT NULL")
        return cur.fetchone()[0]


def install(conninfo):
    """Create everything in one transaction."""
    conn = psycopg2.connect(conninfo)
    with conn, conn.cursor() as cur:
        cur.execute(ddl())
    conn.close()


ACTUAL = {
    "columns": """
        SELECT table_name, ordinal_position, column_name,
               CASE WHEN data_type IN ('USER-DEFINED', 'ARRAY') THEN udt_name ELSE data_type END,
               character_maximum_length, is_nullable, column_default
          FROM information_schema.columns WHERE table_schema = current_schema()""",
    "constraints": """
        SELECT conrelid::regclass::text, conname,
               CASE contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique' WHEN 'f' THEN 'foreign key' ELSE contype::text END,
               pg_get_constraintdef(oid, true)
          FROM pg_constraint WHERE connamespace = current_schema()::regnamespace AND conrelid <> 0""",
    "indexes": """
        SELECT t.relname, i.relname, x.indisprimary, x.indisunique, m.amname,
               (SELECT string_agg(pg_get_indexdef(i.oid, n, true), ' | ' ORDER BY n) FROM generate_series(1, x.indnkeyatts) n),
               pg_get_expr(x.indpred, x.indrelid)
          FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
          JOIN pg_am m ON m.oid = i.relam
         WHERE t.relnamespace = current_schema()::regnamespace""",
    "enums": """
        SELECT t.typname, row_number() OVER (PARTITION BY t.oid ORDER BY e.enumsortorder), e.enumlabel
          FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid WHERE t.typnamespace = current_schema()::regnamespace""",
    "views": "SELECT matviewname, ispopulated FROM pg_matviews WHERE schemaname = current_schema()",
}
OURS = {"db_migrations", "db_lock"}


def _plain(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return "t" if value else "f"
    return str(value)


def verify(conninfo):
    """Differences between the database and the CSV files, one line each; empty when there are none."""
    problems = []
    with psycopg2.connect(conninfo) as conn, conn.cursor() as cur:
        for name, query in ACTUAL.items():
            wanted = {tuple(r.values()) for r in rows(name)}
            cur.execute(query)
            actual = {tuple(_plain(v) for v in r) for r in cur.fetchall() if r[0] not in OURS}
            problems += [f"{name}: missing {r}" for r in sorted(wanted - actual)]
            problems += [f"{name}: unexpected {r}" for r in sorted(actual - wanted)]
    return problems


def main(argv):
    parser = argparse.ArgumentParser(description="Mattermost's schema for tests.")
    parser.add_argument("--db", help="libpq connection text")
    parser.add_argument("--ddl", action="store_true", help="print the DDL")
    parser.add_argument("--verify", action="store_true", help="compare with the CSV files")
    args = parser.parse_args(argv)
    if args.ddl:
        sys.stdout.write(ddl())
    elif not args.db:
        parser.error("--db or --ddl is needed")
    elif args.verify:
        problems = verify(args.db)
        print("\n".join(problems) if problems else "schema equals the CSV files")
        return 1 if problems else 0
    else:
        install(args.db)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python3
"""Mattermost's schema (migration 159) from the CSV files in mattermost-schema/.

    schema.py --ddl                    print the DDL
    schema.py --db CONNINFO            install it
    schema.py --db CONNINFO --verify   compare the database with the CSV files; exit 1 and a list when they differ
    schema.py --db CONNINFO --release 9.11|10.5|10.11|11.10    turn an installed (and filled) schema into another release's
    schema.py --db CONNINFO --plugin agents|agents-old|playbooks|calls    add a plugin's tables

Library: ddl(), install(conninfo), installed(conninfo), verify(conninfo) -> list of differences, release(conninfo, name),
plugin(conninfo, name).
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


OLDER = {  # release: its last migration, what it does not have yet
    "10.11": (141, """
        DROP TABLE contentflaggingcommonreviewers, contentflaggingteamreviewers, contentflaggingteamsettings,
                   translations, readreceipts, temporaryposts, recapchannels, recaps;
        ALTER TABLE drafts DROP COLUMN type;
        ALTER TABLE scheduledposts DROP COLUMN type;
        ALTER TABLE channels DROP COLUMN autotranslation;
        ALTER TABLE channelmembers DROP COLUMN autotranslation, DROP COLUMN autotranslationdisabled;
        ALTER TABLE roles DROP COLUMN schemeid;
        ALTER TABLE oauthapps DROP COLUMN isdynamicallyregistered;
        ALTER TABLE oauthaccessdata DROP COLUMN audience;
        ALTER TABLE oauthauthdata DROP COLUMN codechallenge, DROP COLUMN codechallengemethod, DROP COLUMN resource;"""),
    "10.5": (129, """
        DROP MATERIALIZED VIEW posts_by_team_day, bot_posts_by_team_day, file_stats, attributeview;
        DROP TABLE accesscontrolpolicies, accesscontrolpolicyhistory;
        ALTER TABLE channels DROP COLUMN bannerinfo, DROP COLUMN defaultcategoryname;
        ALTER TABLE postacknowledgements DROP COLUMN remoteid, DROP COLUMN channelid;"""),
    "9.11": (126, """
        DROP TABLE propertyvalues, propertyfields, propertygroups, scheduledposts;
        DROP TYPE property_field_type;
        ALTER TABLE users DROP COLUMN mfausedtimestamps;"""),
}
NEWER = {
    "11.10": (203, """
        CREATE TYPE permission_level AS ENUM ('none', 'sysadmin', 'member');
        ALTER TABLE propertyfields ADD createdby varchar(26) NOT NULL DEFAULT '', ADD updatedby varchar(26) NOT NULL DEFAULT '',
              ADD objecttype varchar(255) NOT NULL DEFAULT '', ADD protected boolean NOT NULL DEFAULT false,
              ADD permissionfield permission_level, ADD permissionvalues permission_level, ADD linkedfieldid varchar(26);
        ALTER TABLE propertyvalues ADD createdby varchar(26) NOT NULL DEFAULT '', ADD updatedby varchar(26) NOT NULL DEFAULT '';
        ALTER TABLE propertygroups ADD schemaversion integer NOT NULL DEFAULT 1;
        CREATE TABLE views (id varchar(26) PRIMARY KEY, channelid varchar(26) NOT NULL, type varchar(32) NOT NULL,
              creatorid varchar(26) NOT NULL, title varchar(256) NOT NULL, props jsonb, createat bigint NOT NULL,
              updateat bigint NOT NULL, deleteat bigint NOT NULL);
        ALTER TYPE channel_type ADD VALUE 'BO';
        ALTER TYPE channel_type ADD VALUE 'BP';
        ALTER TYPE channel_bookmark_type ADD VALUE 'board';
        ALTER TABLE channelbookmarks ADD targetid varchar(26);
        ALTER TABLE recaps ADD viewedat bigint NOT NULL DEFAULT 0;
        ALTER TABLE channels ADD discoverable boolean NOT NULL DEFAULT false;
        CREATE TABLE channeljoinrequests (id varchar(26) PRIMARY KEY, channelid varchar(26) NOT NULL, userid varchar(26) NOT NULL,
              message text, denialreason text, status varchar(32) NOT NULL, createat bigint NOT NULL, updateat bigint NOT NULL);
        ALTER TABLE useraccesstokens ADD expiresat bigint NOT NULL DEFAULT 0, ADD lastnotifiedat bigint NOT NULL DEFAULT 0;
        ALTER TABLE sessions ADD voipdeviceid varchar(512) NOT NULL DEFAULT '';
        ALTER TABLE incomingwebhooks ADD lastused bigint NOT NULL DEFAULT 0;"""),
}
PLUGINS = {
    "agents": """
        CREATE TABLE llm_postmeta (rootpostid text NOT NULL REFERENCES posts(id) ON DELETE CASCADE PRIMARY KEY, title text NOT NULL);
        CREATE TABLE llm_posts_embeddings (id text PRIMARY KEY, post_id text NOT NULL REFERENCES posts(id) ON DELETE CASCADE,
              team_id text NOT NULL, channel_id text NOT NULL, user_id text NOT NULL, created_at bigint NOT NULL,
              content text NOT NULL, is_chunk boolean NOT NULL DEFAULT false);""",
    "agents-old": "CREATE TABLE llm_threads (rootpostid text NOT NULL REFERENCES posts(id) PRIMARY KEY, title text NOT"
                  " NULL);",
    "playbooks": """
        CREATE TABLE ir_incident (id text PRIMARY KEY, name text NOT NULL, channelid text NOT NULL, commanderuserid text NOT NULL,
              reporteruserid text NOT NULL DEFAULT '', postid text NOT NULL DEFAULT '', reminderpostid text, createat bigint NOT NULL);
        CREATE TABLE ir_statusposts (incidentid text NOT NULL REFERENCES ir_incident(id), postid text NOT NULL,
              UNIQUE (incidentid, postid));
        CREATE TABLE ir_timelineevent (id text PRIMARY KEY, incidentid text NOT NULL REFERENCES ir_incident(id),
              createat bigint NOT NULL, eventtype text NOT NULL DEFAULT '', summary text NOT NULL DEFAULT '',
              postid text NOT NULL DEFAULT '', subjectuserid text NOT NULL DEFAULT '', creatoruserid text NOT NULL DEFAULT '');""",
    "calls": """
        CREATE TABLE calls (id varchar(26) PRIMARY KEY, channelid varchar(26), startat bigint, endat bigint, createat bigint,
              deleteat bigint, title varchar(256), postid varchar(26), threadid varchar(26), ownerid varchar(26),
              participants jsonb NOT NULL DEFAULT '[]', stats jsonb NOT NULL DEFAULT '{}', props jsonb NOT NULL DEFAULT '{}');
        CREATE TABLE calls_sessions (id varchar(26) PRIMARY KEY, callid varchar(26), userid varchar(26), joinat bigint);""",
}



def _run(conninfo, sql):
    conn = psycopg2.connect(conninfo)
    conn.autocommit = True
    with conn.cursor() as cur:
        for statement in filter(str.strip, sql.split(";")):
            cur.execute(statement)
    conn.close()


def release(conninfo, name):
    """Make the installed schema that of another release (roughly: what appeared in between)."""
    if name in NEWER:
        last, sql = NEWER[name]
        sql += f"INSERT INTO db_migrations SELECT v, 'step_' || lpad(v::text, 6, '0') FROM generate_series(160, {last}) v"
    else:
        names = list(OLDER)
        steps = names[:names.index(name) + 1]
        last = OLDER[name][0]
        sql = "".join(OLDER[step][1] for step in steps) + f"DELETE FROM db_migrations WHERE version > {last}"
    _run(conninfo, sql)


def plugin(conninfo, name):
    """Add the tables of a plugin, empty."""
    _run(conninfo, PLUGINS[name])


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
    parser.add_argument("--release", choices=[*OLDER, *NEWER])
    parser.add_argument("--plugin", choices=list(PLUGINS))
    args = parser.parse_args(argv)
    if args.ddl:
        sys.stdout.write(ddl())
    elif not args.db:
        parser.error("--db or --ddl is needed")
    elif args.release:
        release(args.db, args.release)
    elif args.plugin:
        plugin(args.db, args.plugin)
    elif args.verify:
        problems = verify(args.db)
        print("\n".join(problems) if problems else "schema equals the CSV files")
        return 1 if problems else 0
    else:
        install(args.db)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

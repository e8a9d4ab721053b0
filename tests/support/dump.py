#!/usr/bin/env python3
"""A canonical dump of every table, and the difference of two.

    dump.py --db CONNINFO > before.txt        one line a row: table, tab, the row as COPY text; sorted
    dump.py --digest --db CONNINFO            table, rows, SHA-256
    dump.py --diff before.txt after.txt       lines with - and +, exit 1 when there are any

Library: dump(conninfo) -> {table: sorted rows}; diff(a, b) -> {table: (removed, added)} with changed tables only;
rows(conninfo, table, where) -> list of dictionaries. Materialised views are left out: they are derived.
"""
import argparse
import collections
import hashlib
import sys

import psycopg2
import psycopg2.extras


class _Lines:
    """The target of COPY: collects lines without building one large text."""

    def __init__(self):
        self.lines, self.rest = [], b""

    def write(self, data):
        if isinstance(data, str):
            data = data.encode()
        parts = (self.rest + data).split(b"\n")
        self.rest = parts.pop()
        self.lines += [p.decode("utf-8", "surrogateescape") for p in parts]
        return len(data)


def tables(conn):
    """Names of all ordinary tables of the current schema, sorted."""
    with conn.cursor() as cur:
        cur.execute("SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
                    " AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname COLLATE \"C\"")
        return [r[0] for r in cur.fetchall()]


def dump(conninfo, only=None, skip=()):
    """Every table as a sorted list of COPY text lines, all from one snapshot."""
    conn = psycopg2.connect(conninfo)
    conn.set_session(isolation_level="REPEATABLE READ", readonly=True)
    result = {}
    with conn, conn.cursor() as cur:
        cur.execute("SET LOCAL timezone = 'UTC'; SET LOCAL client_encoding = 'UTF8'")
        for table in tables(conn):
            if (only and table not in only) or table in skip:
                continue
            sink = _Lines()
            cur.copy_expert(f'COPY (SELECT * FROM "{table}") TO STDOUT', sink)
            sink.lines.sort()
            result[table] = sink.lines
    conn.close()
    return result


def diff(before, after):
    """{table: (removed, added)} for tables whose rows differ; rows count, so duplicates matter."""
    result = {}
    for table in sorted(set(before) | set(after)):
        a, b = before.get(table, []), after.get(table, [])
        if a == b:
            continue
        old, new = collections.Counter(a), collections.Counter(b)
        removed, added = sorted((old - new).elements()), sorted((new - old).elements())
        if removed or added:
            result[table] = (removed, added)
    return result


def digests(data):
    """{table: (rows, sha256)} of a dump."""
    result = {}
    for table, lines in data.items():
        sha = hashlib.sha256()
        for line in lines:
            sha.update(line.encode("utf-8", "surrogateescape") + b"\n")
        result[table] = (len(lines), sha.hexdigest())
    return result


def rows(conninfo, table, where="true", args=()):
    """Rows of one table as dictionaries, for assertions."""
    with psycopg2.connect(conninfo) as conn, conn.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cur:
        cur.execute(f'SELECT * FROM "{table}" WHERE {where}', args)
        return [dict(r) for r in cur.fetchall()]


def write(data, out):
    for table, lines in data.items():
        for line in lines:
            out.write(f"{table}\t{line}\n".encode("utf-8", "surrogateescape"))


def read(path):
    data = {}
    with open(path, "rb") as f:
        for line in f:
            table, _, row = line.rstrip(b"\n").decode("utf-8", "surrogateescape").partition("\t")
            data.setdefault(table, []).append(row)
    return data


def main(argv):
    parser = argparse.ArgumentParser(description="Canonical dump and difference.")
    parser.add_argument("--db")
    parser.add_argument("--table", action="append")
    parser.add_argument("--digest", action="store_true")
    parser.add_argument("--diff", nargs=2, metavar=("BEFORE", "AFTER"))
    args = parser.parse_args(argv)
    if args.diff:
        changes = diff(read(args.diff[0]), read(args.diff[1]))
        for table, (removed, added) in changes.items():
            for sign, lines in (("-", removed), ("+", added)):
                for line in lines:
                    sys.stdout.buffer.write(f"{sign}{table}\t{line}\n".encode("utf-8", "surrogateescape"))
        return 1 if changes else 0
    if not args.db:
        parser.error("--db or --diff is needed")
    data = dump(args.db, args.table)
    if args.digest:
        for table, (count, sha) in digests(data).items():
            print(f"{table}\t{count}\t{sha}")
    else:
        write(data, sys.stdout.buffer)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

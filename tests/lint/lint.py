#!/usr/bin/env python3
"""The house's own rules, as far as a program can see them.

usage: lint.py [--build FOLDER] [--binary MMRETAIN] [RULE...]

Each rule is a function `rule_...` that yields complaints "path:line: text".  With --build the symbols of the room libraries are looked at
too, with --binary the generated documents are compared.
"""
import argparse
import ast
import io
import os
import pathlib
import re
import subprocess
import sys
import tokenize

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(1, str(ROOT / "tests" / "support"))
sys.dont_write_bytecode = True

import c_source  # noqa: E402
import formats  # noqa: E402

FLOOR = {"base": 0, "db": 1, "policy": 1, "bundle": 1, "store": 1, "ledger": 1, "mm": 2, "catalog": 2, "plan": 3, "purge": 3,
         "people": 3, "audit": 3, "run": 4, "cli": 5}
# Beside the rooms below, what a room may include of its own floor or must not include of the lower ones (design section 2).
MAY_INCLUDE = {
    "base": set(), "db": {"base"}, "policy": {"base"}, "bundle": {"base"}, "store": {"base"}, "ledger": {"base"},
    "mm": {"base", "db", "store"},  # store: its requests to a bucket, where the attachments may be
    "catalog": {"base", "bundle", "store", "ledger"}, "plan": {"base", "db", "policy", "mm"},
    "purge": {"base", "db", "bundle", "mm"}, "people": {"base", "db", "policy", "mm"},
    "audit": {"base", "bundle", "store", "catalog", "ledger"},
}
# A library and the one room that may touch it: headers, names in the source, name in the link line (and its variables), file name.
LIBRARIES = {
    "libpq": (r"libpq-fe\.h|libpq[/-].*|postgres_ext\.h|pg_config.*", r"PQ[a-z]\w*|lo_\w+|PG(?:conn|result|notify|cancel)|PGRES_\w+", "PQ", "pq", "db"),
    "zstd": (r"zstd\w*\.h|zdict\.h", r"ZSTD_\w+|ZDICT_\w+", "ZSTD", "zstd", "bundle"),
    "libarchive": (r"archive(?:_entry)?\.h", r"archive_(?:entry|read|write|match|set|clear)_\w+|archive_(?:errno|error_string)", "ARCHIVE", "archive",
                   "bundle"),
    "libyaml": (r"yaml\.h", r"yaml_\w+", "YAML", "yaml", "policy"),
    "sqlite": (r"sqlite3\w*\.h", r"sqlite3\w*", "SQLITE", "sqlite3", "catalog"),
    "libcurl": (r"curl/.*", r"curl_(?:easy|multi|global|slist|url|mime|share|version|free)\w*|CURL\w*", "CURL", "curl", "store"),
    "libcrypto": (r"openssl/.*", r"EVP_\w+|SHA256\w*|HMAC\w*|RAND_\w+|CRYPTO_\w+", "CRYPTO", "crypto", "base"),
    "libsmartcols": (r"libsmartcols.*\.h", r"scols_\w+", "SMARTCOLS", "smartcols", "cli"),
    "md4c": (r"md4c.*", r"md_parse|MD_[A-Z]+(?:_\w+)?", "MD4C", "md4c", "audit"),
}
# Calls and the rooms that may make them.
CALLS = {
    "the clock is base's": (("time", "gettimeofday", "clock_gettime", "ftime", "nanosleep", "usleep", "sleep"), {"base"}),
    "signals are base's": (("signal", "sigaction", "raise"), {"base"}),
    "writing files is base's": (("write", "writev", "pwrite", "pwritev", "sendfile", "splice", "copy_file_range"), {"base"}),
    "making durable is base's": (("fsync", "fdatasync", "syncfs", "sync", "sync_file_range", "msync"), {"base"}),
    "shortening files": (("truncate", "ftruncate"), {"base", "ledger", "store", "mm"}),  # a torn last line, also of a journal; a file on its way into partial/
    "printing is cli's": (
        ("printf", "vprintf", "fprintf", "vfprintf", "dprintf", "vdprintf", "puts", "fputs", "putchar", "putc", "fputc", "fwrite", "perror", "psignal",
         "putchar_unlocked", "fputs_unlocked", "fwrite_unlocked"), {"cli"}),
    "libraries are loaded by base's library_load()": (("dlopen", "dlmopen", "dlsym", "dlvsym"), {"base"}),
    "ending the process": (("exit",), {"base"}),
    "a mistake of ours is an assert": (("abort",), {"base", "db"}),
    "unbounded or stateful string calls": (
        ("strcpy", "strcat", "sprintf", "vsprintf", "gets", "strtok", "atoi", "atol", "atoll", "alloca", "system", "popen", "tmpnam", "mktemp"),
        set()),
    "memory comes from talloc": (("malloc", "calloc", "realloc"), {"base"}),
    # These, of the headers of lower rooms, begin what cannot be taken back.
    "deleting rows and attachments is run's to order": (("purge_receipt", "purge_sweep", "purge_unlink"), {"purge", "run"}),
    "depersonalising is run's to order": (("people_run", "people_reduce", "people_finish"), {"people", "run"}),
    "removing what is in the archive is run's to order, and catalog's of its indexes": (("store_remove",), {"store", "run", "catalog"}),
}
# What removes and renames, and the files that may, each with what it is that goes.  No other file does it without a word here.
REMOVES = ("unlink", "unlinkat", "rename", "renameat", "renameat2", "rmdir", "remove", "link", "linkat")
REMOVERS = {
    "base_file.c": "its own .tmp, put in place whole or removed",
    "bundle_publish.c": "the work name of a bundle that waits for its receipt",
    "bundle_write.c": "a bundle that was not finished, in partial/",
    "store_list.c": "leftovers in partial/",
    "store_remove.c": "bundles and what belongs to them",
    "plan_file.c": "its own .tmp, put in place whole or removed",
    "catalog_build.c": "an index, put in place whole",
    "catalog_reindex.c": "the catalog, put in place whole",
    "mm_unlink.c": "attachments that a journal names, and the journal",
    "people_picture.c": "a profile picture",
    "audit_export.c": "an exported attachment that is not sound",
    "audit_html.c": "a page of its own, renamed inside the work folder",
    "audit_stage.c": "the work folder of an export, its own parts",
    "run_erase_late.c": "a list of late rows after an erasure",
    "run_fetch.c": "what was fetched in partial/ and is not sound",
    "run_restore_file.c": "its own work names among the attachments",
    "run_unit.c": "the list of a bundle that is waived, in partial/",
}
MAX_FUNCTION, MAX_FILE, MAX_COLUMNS = 100, 500, 120
# The folder somebody works in, and the marks of tools that write commits for people, have no business in the tree.
SHARED = {"/", "/tmp", "/var/tmp", "/home", "/root", "/opt", "/srv", "/usr/src", "/usr/local/src"}  # a clone may lie in any of them
WORKPLACE = re.compile(r"(?:%s)/|/home/\w+/|/root/\w+|co-authored-by|generated (?:with|by) an? " % "|".join(
    re.escape(str(p)) for p in (ROOT, ROOT.parent) if str(p) not in SHARED), re.I)


def rel(path):
    return os.path.relpath(path, ROOT)


def read(path):
    return pathlib.Path(path).read_text(encoding="utf-8")


def sources(*patterns):
    for pattern in patterns:
        yield from sorted(p for p in ROOT.glob(pattern) if p.is_file())


def rooms():
    for room in FLOOR:
        files = list(sources("engine/%s/*.c" % room, "engine/%s/*.h" % room))
        if files:
            yield room, files


def line_of(text, at):
    return text.count("\n", 0, at) + 1


# ---- floors ----

def rule_floors(args):
    """Arrows only down: a room includes rooms of lower floors, and only those its job needs."""
    for room in FLOOR:
        allowed = MAY_INCLUDE.get(room, {r for r in FLOOR if FLOOR[r] < FLOOR[room]}) | {room}
        for path in sources("engine/%s/*.c" % room, "engine/%s/*.h" % room, "include/mmretain/%s.h" % room):
            text = c_source.tokens_blanked(read(path), keep_strings=True)
            for match in re.finditer(r'#\s*include\s*[<"]mmretain/(\w+)\.(?:h|def)[>"]', text):
                other = match.group(1)
                if other in FLOOR and other not in allowed:
                    yield "%s:%d: room %s may not include %s" % (rel(path), line_of(text, match.start()), room, other)
            for match in re.finditer(r'#\s*include\s*"(\w+?)_(\w*)\.h"', text):
                if match.group(1) in FLOOR and match.group(1) != room and match.group(0).find("mm_sql.h") < 0:
                    yield "%s:%d: %s is a private header of another room" % (
                        rel(path), line_of(text, match.start()), match.group(1))


def rule_libraries(args):
    """Each library has one room: its headers, its names (types and functions), its link line, and its file for those that are loaded when needed."""
    for room in FLOOR:
        others = {name: of for name, of in LIBRARIES.items() if of[4] != room}
        for path in sources("engine/%s/*.c" % room, "engine/%s/*.h" % room, "include/mmretain/%s.h" % room):
            text = c_source.tokens_blanked(read(path), keep_strings=True)
            code, literals = c_source.tokens_blanked(text), list(c_source.strings(text)) if ".so" in text else ()
            for name, (header, names, _, file, owner) in others.items():
                for match in re.finditer(r"#\s*include\s*[<\"](?:%s)[>\"]" % header, text):
                    yield "%s:%d: only %s may include %s" % (rel(path), line_of(text, match.start()), owner, name)
                for line, literal in literals:
                    if re.search(r"\blib%s\b[\w.-]*\.so\b" % file, literal):
                        yield "%s:%d: only %s may load %s" % (rel(path), line, owner, name)
                for match in re.finditer(r"\b(?:%s)\b" % names, code):
                    yield "%s:%d: %s is of %s, which is %s's" % (rel(path), line_of(code, match.start()), match.group(0), name, owner)
        for path in sources("engine/%s/CMakeLists.txt" % room):
            text = read(path)
            for name, (_, _, link, _, owner) in others.items():
                for match in re.finditer(r"\b(?:PkgConfig::%s|%s_(?:INCLUDE_DIRS|LIBRARIES|LINK_LIBRARIES|LDFLAGS))\b" % (link, link), text):
                    yield "%s:%d: only %s may use %s" % (rel(path), line_of(text, match.start()), owner, name)


def undefined_symbols(library):
    done = subprocess.run(["nm", "-u", "-A", str(library)], capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        match = re.match(r".*:([^:]+)\.o:\s+U (\w+)", line)
        if match:
            yield match.group(1), re.sub(r"^__(\w+)_chk$", r"\1", match.group(2).removesuffix("64"))


def rule_symbols(args):
    """As rule_libraries, rule_calls, rule_removes and rule_deletes, but asked of the object files: macros hide nothing from them.

    libpq, libcurl and libarchive are loaded when needed and never occur there as symbols: they are rule_libraries' alone.
    """
    if not args.build:
        return
    changing = changing_statements()
    for room in FLOOR:
        library = pathlib.Path(args.build) / "engine" / room / ("libmmr_%s.a" % room)
        if not library.exists():
            yield "%s: there is none" % library
            continue
        for member, symbol in undefined_symbols(library):
            for name, (_, names, _, _, owner) in LIBRARIES.items():
                if room != owner and re.fullmatch(names, symbol):
                    yield "%s(%s): %s is of %s, which is %s's" % (library.name, member, symbol, name, owner)
            for why, (names, allowed) in CALLS.items():
                # talloc's macros have exit and malloc in them, where a destructor is set
                if room not in allowed and symbol in names and symbol not in ("exit", "malloc"):
                    yield "%s(%s): %s() in %s: %s" % (library.name, member, symbol, room, why)
            if symbol in REMOVES and member not in REMOVERS:
                yield "%s(%s): %s() in a file that lint.py's REMOVERS does not name" % (library.name, member, symbol)
            owners = changing.get(symbol.removeprefix("sql_")) if symbol.startswith("sql_") else None
            if owners is not None and room not in owners:
                yield "%s(%s): %s changes the server's rows and is %s's" % (library.name, member, symbol, "/".join(sorted(owners)))


def rule_removes(args):
    """What removes or renames a file stands in a few files, and each of them has said what it removes."""
    seen = set()
    for _, files in rooms():
        for path in files:
            text = c_source.tokens_blanked(read(path))
            for match in re.finditer(r"(?<![\w.>])(%s)\s*\(" % "|".join(REMOVES), text):
                seen.add(path.name)
                if path.name not in REMOVERS:
                    yield "%s:%d: %s() in a file that lint.py's REMOVERS does not name" % (rel(path), line_of(text, match.start()), match.group(1))
    for name in sorted(REMOVERS):
        if list(sources("engine/*/" + name)) and name not in seen:
            yield "tests/lint/lint.py: REMOVERS names %s, which removes nothing" % name


def changing_statements():
    """{name of a .sql file: rooms that may hold it} of those that change rows of the server, by the first word of their names."""
    found = {}
    for path in sources("engine/mm/sql/*.sql"):
        text = re.sub(r"--[^\n]*|'(?:[^']|'')*'", " ", read(path))
        changes = re.findall(r"\b(?:DELETE\s+FROM|INSERT\s+INTO|MERGE\s+INTO|(?<!FOR )(?<!KEY )UPDATE|TRUNCATE(?:\s+TABLE)?|ALTER\s+TABLE|DROP\s+TABLE)\s+"
                             r"(?:IF\s+EXISTS\s+|ONLY\s+)*(?!pg_temp\.)([\w.{]+)", text, re.I)
        if [c for c in changes if c.upper() not in ("SET", "SKIP", "NOWAIT", "OF")]:
            found[path.stem] = {"mm", "people"} if path.stem.startswith("people_") else {"purge"} if re.match(r"(purge|sweep|restore)_", path.stem) else set()
    return found


def rule_deletes(args):
    """The statements that delete or change rows of the server are purge's and people's, by their names; mm only lists those of people."""
    owners = changing_statements()
    for stem, allowed in owners.items():
        if not allowed:
            yield "engine/mm/sql/%s.sql: changes the server's rows and is of neither purge_, sweep_, restore_ nor people_" % stem
    for room, files in rooms():
        for path in files:
            text = c_source.tokens_blanked(read(path))
            for match in re.finditer(r"\bsql_(\w+)\b(\s*##)?", text):
                stems = [s for s in owners if s == match.group(1) or (match.group(2) and s.startswith(match.group(1)))]
                if any(room not in owners[s] for s in stems):
                    yield "%s:%d: %s is not %s's to hold" % (rel(path), line_of(text, match.start()), match.group(0), room)


def rule_calls(args):
    """Some calls belong to one room (the functions of lower rooms that begin what cannot be taken back, among them)."""
    for room, files in rooms():
        for path in files:
            text = c_source.tokens_blanked(read(path))
            for why, (names, allowed) in CALLS.items():
                if room in allowed:
                    continue
                for match in re.finditer(r"(?<![\w.>])(%s)\s*\(" % "|".join(names), text):
                    yield "%s:%d: %s() in %s: %s" % (rel(path), line_of(text, match.start()), match.group(1), room, why)


# ---- shape ----

def rule_sizes(args):
    """Functions of 100 lines and files of 500 are too long to be read at once."""
    lengths = []
    for path in sources("engine/**/*.c", "engine/**/*.h", "include/mmretain/*.h", "tests/**/*.c"):
        text = read(path)
        lines = text.count("\n")
        if lines > MAX_FILE:
            yield "%s:1: %d lines, at most %d" % (rel(path), lines, MAX_FILE)
        for name, line, length in c_source.functions(text):
            if not rel(path).startswith("tests/"):
                lengths.append(length)
            if length > MAX_FUNCTION:
                yield "%s:%d: %s has %d lines, at most %d" % (rel(path), line, name, length, MAX_FUNCTION)
    lengths.sort()
    if lengths:
        print("functions: %d, median %d lines, p90 %d, p99 %d, longest %d" % (
            len(lengths), lengths[len(lengths) // 2], lengths[len(lengths) * 9 // 10], lengths[len(lengths) * 99 // 100], lengths[-1]))


def rule_width(args):
    """What .clang-format says: a line of C is read without scrolling."""
    for path in sources("engine/**/*.[ch]", "engine/**/*.def", "include/mmretain/*", "tests/**/*.[ch]"):
        for number, line in enumerate(read(path).split("\n"), 1):
            if len(line.expandtabs(8)) > MAX_COLUMNS:
                yield "%s:%d: %d columns, at most %d" % (rel(path), number, len(line.expandtabs(8)), MAX_COLUMNS)


def rule_file_comments(args):
    """A reader learns from the first lines what a file is for, and a DBA from those of a statement its parameters and locks."""
    for path in sources("engine/**/*.c", "engine/**/*.h", "include/mmretain/*.h", "include/mmretain/*.def"):
        if not read(path).startswith("/*"):
            yield "%s:1: does not begin with a comment" % rel(path)
    for path in sources("engine/**/*.sql"):
        head = re.match(r"(?:--(?!\[).*\n)*", read(path)).group(0)
        if not re.match(r"-- (?!Parameters:|Locks:)\S", head):
            yield "%s:1: does not begin with a comment that says what it is for" % rel(path)
        for word in ("Parameters:", "Locks:"):
            if len(re.findall(r"\b" + word, head)) != 1:
                yield "%s:1: the comment at its beginning has no `%s`, or more than one" % (rel(path), word)
        body = re.sub(r"--.*|'(?:[^']|'')*'", "", read(path)[len(head):])
        if "Parameters: none" in head and re.search(r"\$\d", body):
            yield "%s:1: has parameters, and says that it has none" % rel(path)


def rule_sql_place(args):
    """SQL stands in .sql files of mm; a statement in a string hides from the DBA who wants to read it."""
    statement = re.compile(r"\b(SELECT\s.+\sFROM|INSERT\s+INTO|DELETE\s+FROM|UPDATE\s+\w+\s+SET|TRUNCATE\s+TABLE|DROP\s+TABLE)\b", re.S)
    for room, files in rooms():
        if room in ("mm", "catalog"):
            continue
        for path in files:
            for line, literal in c_source.strings(read(path)):
                if statement.search(literal) and not (room == "db" and "pg_catalog." in literal):
                    yield "%s:%d: a statement in a string: %s" % (rel(path), line, literal[:60])


def rule_workplace(args):
    """Nothing in the tree tells where or by whom it was written."""
    names = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True)
    for name in names.stdout.split("\0"):
        path = ROOT / name
        if not name or not path.is_file() or path == pathlib.Path(__file__).resolve():
            continue
        try:
            text = read(path)
        except UnicodeDecodeError:
            continue
        for match in WORKPLACE.finditer(text):
            yield "%s:%d: %r tells of the workplace" % (name, line_of(text, match.start()), match.group(0))


# ---- tables and documents ----

def python_strings(text):
    """The words between the quotes of every string, comments not looked at."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.STRING:
            yield re.sub(r"^\w*([\"']+)(.*)\1$", r"\2", token.string, flags=re.S)


def rule_faults(args):
    """Every fault point is in the code, and a test kills there.

    crash.py takes the points from faults.def and fails when a run never passes one.  Those that its ELSEWHERE leaves out must be written in a
    string of a test, alone (in a list of points) or with `:kill`; what the test does with it a program cannot see.
    """
    points = re.findall(r"^X\((\w+),", read(ROOT / "include/mmretain/faults.def"), re.M)
    code = "".join(c_source.tokens_blanked(read(p)) for p in sources("engine/**/*.c"))
    elsewhere = ()
    for node in ast.parse(read(ROOT / "tests/crash/crash.py")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ELSEWHERE":
            elsewhere = ast.literal_eval(node.value)
    if not elsewhere:
        yield "tests/crash/crash.py: no ELSEWHERE that says which points it leaves out"
        return
    tests = "\n".join(text for p in sources("tests/db/*.py", "tests/cli/*.py") for text in python_strings(read(p)))
    for point in points:
        if not re.search(r"\bFAULT_%s\b" % point, code):
            yield "include/mmretain/faults.def: %s is nowhere in the code" % point
        if point.startswith(elsewhere) and not re.search(r"^%s(:kill\b.*)?$" % point, tests, re.M):
            yield "include/mmretain/faults.def: %s: crash.py leaves it out, and no test of tests/db or tests/cli kills there" % point


FAULTS = 150


def rule_fault_page(args):
    """docs/faults.md has each fault once, and the tests that it names are there: a file below tests/, then names in it."""
    page, tests = ROOT / "docs/faults.md", ROOT / "tests"
    if not page.exists():
        return
    rows = re.findall(r"^\| (F\d{3}) \| [^|]+ \| ([^|]+) \|$", read(page), re.M)
    for number, (row, wanted) in enumerate(zip([r for r, _ in rows] + [""] * FAULTS, ["F%03d" % n for n in range(1, FAULTS + 1)]), 1):
        if row != wanted:
            yield "docs/faults.md: row %d is %s, not %s" % (number, row or "missing", wanted)
            break
    for row, shown in rows:
        words = [w for w in re.findall(r"`([\w./-]+)`", shown) if re.match(r"[\w/]+\.(py|c|sh)$|\w*_\w+$", w)]
        if not re.search(r"\bnot held\b", shown) and not any("." in w for w in words):
            yield "docs/faults.md: %s has neither a test nor `not held`" % row
        text = None
        for word in words:
            if "." in word:
                text = read(tests / word) if (tests / word).is_file() else ""
                if not text:
                    yield "docs/faults.md: %s: there is no tests/%s" % (row, word)
            elif text is not None and not re.search(r"START_TEST\(%s\)|^ *def %s\(" % (word, word), text, re.M):
                yield "docs/faults.md: %s: no test `%s`" % (row, word)


def rule_places(args):
    """A message names no file of the source: whoever reads it may have the installation alone (share/doc/mmretain)."""
    for room, files in rooms():
        for path in files:
            for line, literal in c_source.strings(read(path)):
                for match in re.finditer(r"(?<![\w/])(?:docs|policies|engine|tests)/\w[\w.-]*\.\w+", literal):
                    if not literal.startswith("# "):  # a page that says what it was made from
                        yield "%s:%d: a message names %s" % (rel(path), line, match.group(0))


def rule_suites(args):
    """No test file that ctest does not know, and none whose skips are not counted."""
    lists = "".join(re.sub(r"#.*", "", read(p)) for p in sources("tests/CMakeLists.txt", "tests/*/CMakeLists.txt"))
    for path in sources("tests/*/*_test.py"):
        if not re.search(r"\b%s\b" % path.stem, lists):
            yield "%s:1: in no CMakeLists.txt, so nobody runs it" % rel(path)
    for path in sources("tests/*/*.py"):
        text = read(path)
        for match in re.finditer(r"^ *unittest\.main\(", text, re.M):
            yield "%s:%d: unittest.main() tells nobody what it skipped; outcome.main() does" % (rel(path), line_of(text, match.start()))


def rule_documents(args):
    """What the program prints of itself is what docs/ says."""
    if not args.binary:
        return
    for name, words in (("commands.md", ["help", "--format", "markdown"]), ("mmretain.1", ["help", "--format", "man"]),
                        ("exit-codes.md", ["help", "--format", "exit-codes"]),
                        ("policy-reference.md", ["help", "--format", "policy"])):
        path = ROOT / "docs" / name
        done = subprocess.run([args.binary, *words], capture_output=True, text=True)
        if done.returncode != 0:
            yield "docs/%s: %s ends with status %d: %s" % (name, " ".join(words), done.returncode, done.stderr.strip())
        elif not path.exists() or read(path) != done.stdout:
            yield "docs/%s: not what the program prints; run `mmretain %s > docs/%s`" % (name, " ".join(words), name)


def bodies(path):
    """{name of a function: its text} of one file."""
    lines = read(path).split("\n")
    found = {}
    for name, first, length in c_source.functions("\n".join(lines)):
        found[name] = "\n".join(lines[first - 1:first - 1 + length])
    return found


def calls_of(name, text):
    return re.findall(r"(?<![\w.>])%s\(([^;{]*)" % name, text)


FIELD = re.compile(r'(?:ledger_(?:str|int|bool|raw)|put_\w+)\([^";]*?, "(\w+)"|\\"(\w+)\\":')


def appended(files):
    """(path, types of the line, names of its fields) for each function that appends one to the ledger."""
    functions = {path: bodies(path) for path in files}
    for path, local in functions.items():
        for name, body in local.items():
            if "ledger_append(" not in body or name == "ledger_append":
                continue
            reach, more = {name}, {name}
            while more:  # what it calls in its own file puts fields, too
                more = {n for n in local if n not in reach and n not in ("ledger_append", "ledger_begin") and any(calls_of(n, local[r]) for r in reach)}
                reach |= more
            fields = {a or b for r in reach for a, b in FIELD.findall(local[r])} | ({"host"} if "run_line_host(" in body else set())
            types = {t for n in ("ledger_begin", "begin") for args in calls_of(n, body) for t in re.findall(r'"([a-z-]+)"', args)}
            if not types:  # its callers name it
                where = [local] if re.search(r"^static\b.*\b%s\(" % name, body) else functions.values()
                types = {t for fs in where for n in fs if n != name for args in calls_of(name, fs[n]) for t in re.findall(r'"([a-z-]+)"', args)}
            yield path, types, fields


def rule_ledger_fields(args):
    """docs/formats.md lists each type of line that the code appends, with exactly its fields."""
    page = "docs/formats.md"
    types, written = formats.ledger_types(read(ROOT / page)) if (ROOT / page).exists() else {}, {}
    for path, kinds, fields in appended(list(sources("engine/*/*.c"))):
        for kind in kinds:
            written.setdefault(kind, set()).update(fields)
        for field in sorted(fields - set().union(*(types.get(k, ()) for k in kinds))):
            yield "%s: no row of %s has `%s`, for %s" % (rel(path), page, field, ", ".join(sorted(kinds)))
    for kind in sorted(set(types) | set(written)):
        if kind not in types:
            yield "%s: no row for lines of type `%s`" % (page, kind)
        for field in sorted(types.get(kind, set()) - written.get(kind, set())):
            yield "%s: nothing appends `%s` to lines of type `%s`" % (page, field, kind)


def main():
    rules = {name[5:]: f for name, f in globals().items() if name.startswith("rule_")}
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build")
    parser.add_argument("--binary")
    parser.add_argument("rule", nargs="*", help=", ".join(rules))
    args = parser.parse_args()
    count = 0
    for name in args.rule or rules:
        for complaint in rules[name](args):
            print("%s [%s]" % (complaint, name))
            count += 1
    print("lint: %d complaint%s" % (count, "" if count == 1 else "s"))
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Each rule of lint.py must see the fault it is there for, and nothing in clean code."""
import argparse
import pathlib
import subprocess
import tempfile
import unittest

import lint  # first: it knows where the others are
import c_source
import outcome

ARGS = argparse.Namespace(build=None, binary=None)
CLEAN = "/* plan_x.c - clean. */\n#include <mmretain/mm.h>\n\nint plan_x(void)\n{\n\treturn 0;\n}\n"


class Rules(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root, self.before = pathlib.Path(self.folder.name).resolve(), lint.ROOT
        lint.ROOT = self.root
        self.addCleanup(setattr, lint, "ROOT", self.before)
        self.put("include/mmretain/faults.def", "/* faults */\n")
        self.put("tests/crash/crash.py", 'ELSEWHERE = ("ERASE_", "EXPIRE_")\n')

    def put(self, path, text):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def complaints(self, rule):
        return list(getattr(lint, "rule_" + rule)(ARGS))

    def assertSees(self, rule, path, text, word):
        self.put(path, text)
        found = self.complaints(rule)
        self.assertEqual(len(found), 1, found)
        self.assertIn(word, found[0])
        self.put(path, CLEAN if path.endswith(".c") else "/* */\n")
        self.assertEqual(self.complaints(rule), [])

    def test_floors(self):
        self.assertSees("floors", "engine/plan/plan_x.c", '#include <mmretain/run.h>\n', "may not include run")
        self.assertSees("floors", "engine/plan/plan_x.c", '#include <mmretain/purge.h>\n', "may not include purge")
        self.assertSees("floors", "engine/plan/plan_x.c", '#include "db_internal.h"\n', "private header")
        self.assertSees("floors", "include/mmretain/bundle.h", '#include <mmretain/db.h>\n', "may not include db")

    def test_libraries(self):
        self.assertSees("libraries", "engine/mm/mm_x.c", "#include <libpq-fe.h>\n", "libpq")
        self.assertSees("libraries", "engine/store/store_x.c", "#include <zstd.h>\n", "zstd")
        self.assertSees("libraries", "include/mmretain/mm.h", "#include <libpq-fe.h>\n", "only db may include libpq")
        # Those that are loaded when needed leave no symbol.
        self.assertSees("libraries", "engine/run/run_x.c", 'int x = library_load("libpq.so.5", f, 1, &g, err);\n', "only db may load libpq")
        self.assertSees("libraries", "engine/audit/audit_x.c", 'int x = library_load("libarchive.so.13", f, 1, &g, err);\n', "only bundle may load")
        self.assertSees("libraries", "engine/run/run_x.c", 'const char *x = "libcurl.so";\n', "only store may load libcurl")
        self.assertSees("libraries", "engine/run/run_x.c", "void f(void)\n{\n\tx.PQexec(c, q);\n}\n", "PQexec is of libpq")
        self.assertSees("libraries", "engine/run/run_x.c", "int x = CURLE_OK;\n", "CURLE_OK is of libcurl")
        self.assertSees("libraries", "engine/catalog/catalog_x.c", "struct archive *a = archive_write_new();\n", "is of libarchive")
        self.assertSees("libraries", "engine/policy/policy_x.c", "sqlite3 *x;\n", "is of sqlite")
        self.put("engine/db/CMakeLists.txt", "mmr_room(db SOURCES x.c LINK mmr_base)\ntarget_include_directories(mmr_db PRIVATE ${PQ_INCLUDE_DIRS})\n")
        self.assertEqual(self.complaints("libraries"), [])
        self.put("engine/mm/CMakeLists.txt", "mmr_room(mm SOURCES x.c LINK mmr_base PkgConfig::PQ)\n")
        self.assertIn("only db may use libpq", self.complaints("libraries")[0])

    def test_libraries_that_only_look_so(self):
        self.put("engine/run/run_x.c", 'void f(void)\n{\n\t/* PQexec, libpq.so.5 */ archive_root(a); g("PQexec", "libpqx.so"); curl = yaml;\n}\n')
        self.assertEqual(self.complaints("libraries"), [])

    def test_symbols(self):
        """What a macro hides from the source is in the object file."""
        self.put("engine/mm/sql/purge_x.sql", "-- x\nDELETE FROM posts\n")
        calls = {"plan": ("ZSTD_compress", "zstd"), "mm": ("__printf_chk", "printing"), "run": ("sql_purge_x", "sql_purge_x changes"), "audit": ("unlinkat", "REMOVERS"),
                 "cli": ("purge_receipt", "run's to order"), "ledger": ("ftruncate64", None), "base": ("unlinkat", "REMOVERS"), "purge": ("sql_purge_x", None)}
        for room in lint.FLOOR:
            name = calls.get(room, ("strlen", None))[0]
            self.put("x/engine/%s/x.c" % room, "extern int %s();\nint f_%s(void)\n{\n\treturn %s();\n}\n" % (name, room, name))
            folder = self.root / "x/engine" / room
            subprocess.run(["gcc", "-fno-builtin", "-w", "-c", "x.c"], cwd=folder, check=True)
            subprocess.run(["ar", "rc", "libmmr_%s.a" % room, "x.o"], cwd=folder, check=True)
        found = "\n".join(lint.rule_symbols(argparse.Namespace(build=str(self.root / "x"))))
        for room, (_, word) in calls.items():
            self.assertEqual(("libmmr_%s.a" % room in found, word is None or word in found), (word is not None, True), (room, found))
        (self.root / "x/engine/db/libmmr_db.a").unlink()
        self.assertIn("libmmr_db.a: there is none", "\n".join(lint.rule_symbols(argparse.Namespace(build=str(self.root / "x")))))

    def test_removes(self):
        for call in ("unlink(path)", "renameat2(a, b, c, d, 0)", "rmdir(p)"):
            self.assertSees("removes", "engine/mm/mm_x.c", "void f(void)\n{\n\t%s;\n}\n" % call, call.split("(")[0])
        self.assertSees("removes", "engine/purge/purge_x.c", "void f(void)\n{\n\tunlinkat(a, b, 0);\n}\n", "REMOVERS does not name")
        self.put("engine/mm/mm_unlink.c", CLEAN)
        self.assertIn("mm_unlink.c, which removes nothing", self.complaints("removes")[0])
        self.put("engine/mm/mm_unlink.c", "void f(void)\n{\n\tunlinkat(a, b, 0);\n}\n")
        self.assertEqual(self.complaints("removes"), [])

    def test_deletes(self):
        """A statement that changes the server's rows has an owner by its name, and nobody else holds it."""
        for text in ("DELETE FROM posts WHERE id = $1", "WITH x AS (SELECT 1) DELETE FROM ONLY posts", "UPDATE posts SET deleteat = 1", "TRUNCATE posts",
                     "INSERT INTO posts SELECT 1", "WITH d AS (DELETE FROM posts RETURNING id) SELECT id FROM d"):
            self.put("engine/mm/sql/thread_x.sql", "-- x\n%s\n" % text)
            self.assertEqual(len(self.complaints("deletes")), 1, text)
        for text in ("SELECT 1 FROM posts FOR UPDATE OF posts", "SELECT 1 FROM posts FOR NO KEY UPDATE SKIP LOCKED", "DELETE FROM pg_temp.mmr_post", "INSERT INTO pg_temp.x SELECT 1",
                     "-- DELETE FROM posts\nSELECT 'DELETE FROM posts'"):
            self.put("engine/mm/sql/thread_x.sql", "-- x\n%s\n" % text)
            self.assertEqual(self.complaints("deletes"), [], text)
        self.put("engine/mm/sql/purge_x.sql", "-- x\nDELETE FROM posts\n")
        self.put("engine/mm/sql/people_x.sql", "-- x\nDELETE FROM drafts\n")
        self.put("engine/purge/purge_x.c", "#define K(x) &sql_purge_##x\nint x = f(&sql_purge_x);\n")
        self.put("engine/mm/mm_x.c", "#define K(x) &sql_people_##x\n")
        self.assertEqual(self.complaints("deletes"), [])
        for room, text in (("run", "int x = f(&sql_purge_x);\n"), ("mm", "#define K(x) &sql_pu##x\n"), ("purge", "int x = f(&sql_people_x);\n")):
            self.assertSees("deletes", "engine/%s/%s_y.c" % (room, room), text, "is not %s's to hold" % room)

    def test_calls(self):
        for room, call in (("plan", "time(NULL)"), ("mm", "write(fd, p, 1)"), ("db", 'printf("x")'), ("mm", 'fprintf(f, "x")'), ("run", "dprintf(1, p)"), ("audit", "fputs(p, f)"), ("run", "dlopen(p, 0)"),
                           ("cli", "purge_receipt(a)"), ("audit", "purge_sweep(a)"), ("cli", "people_run(a)"), ("audit", "store_remove(a)"), ("run", "fsync(fd)"), ("run", "exit(1)"), ("cli", "strcpy(a, b)"),
                           ("store", "malloc(1)")):
            self.assertSees("calls", "engine/%s/%s_x.c" % (room, room), "void f(void)\n{\n\t%s;\n}\n" % call, call.split("(")[0])

    def test_calls_that_only_look_so(self):
        self.put("engine/plan/plan_x.c", 'void f(void)\n{\n\t/* unlink(x) */ g("time(0)"); p->time(1); my_exit(2); s.link(3);\n}\n')
        self.assertEqual(self.complaints("calls"), [])

    def test_sizes(self):
        long = "int f(void)\n{\n" + "\tx();\n" * 99 + "}\n"
        self.assertSees("sizes", "engine/plan/plan_x.c", "/* x */\n" + long, "f has 102 lines")
        self.assertSees("sizes", "engine/plan/plan_x.c", "/* x */\n" + "int a;\n" * 500, "501 lines")

    def test_comments(self):
        self.assertSees("file_comments", "engine/plan/plan_x.c", "int x;\n", "does not begin")

    def test_heads_of_statements(self):
        for text, word in (("TABLE posts\n", "what it is for"), ("-- Parameters: none.  Locks: none.\nTABLE posts\n", "what it is for"),
                           ("-- Posts.  Parameters: none.\nTABLE posts\n", "no `Locks:`"), ("-- Posts.  $1 ids.  Locks: none.\nSELECT $1\n", "no `Parameters:`"),
                           ("-- Posts.  Parameters: none.\nSELECT 1 -- Locks: none.\n", "no `Locks:`"), ("-- Posts.  Parameters: none.  Locks: none.\nSELECT $1\n", "says that it has none"),
                           ("-- Posts.  Parameters: none.\n--[block Locks: none.\nSELECT 1\n", "no `Locks:`")):
            self.put("engine/mm/sql/a.sql", text)
            self.assertIn(word, " ".join(self.complaints("file_comments")))
        self.put("engine/mm/sql/a.sql", "-- Posts.\n-- Parameters: $1 ids.  Locks: none.\nSELECT $1 -- all of them\n")
        self.assertEqual(self.complaints("file_comments"), [])

    def test_sql(self):
        self.assertSees("sql_place", "engine/run/run_x.c", 'const char *q = "delete from posts "\n\t"DELETE FROM posts";\n', "statement")

    def test_faults(self):
        self.put("include/mmretain/faults.def", '/* f */\nX(NEW_POINT, "text")\n')
        self.assertEqual(len(self.complaints("faults")), 1)
        self.put("engine/run/run_x.c", "/* x */\nint x = FAULT_NEW_POINT;\n")
        self.assertEqual(self.complaints("faults"), [])

    def test_faults_elsewhere(self):
        """A new point that crash.py leaves out is missed until a test kills there."""
        self.put("engine/run/run_x.c", "/* x */\nint x = FAULT_ERASE_NEW;\n")
        self.put("include/mmretain/faults.def", '/* f */\nX(ERASE_NEW, "text")\n')
        for text in ("", '"""In ERASE_NEW"""\n# "ERASE_NEW"\n"ERASE_NEW_TOO"\n"ERASE_NEW:stop"\n'):
            self.put("tests/db/erase_test.py", text)
            self.assertIn("ERASE_NEW: crash.py leaves it out", " ".join(self.complaints("faults")))
        for text in ('POINTS = ("OTHER", "ERASE_NEW")\n', 'start(f"ERASE_NEW:kill:{n}")\n', "start('ERASE_NEW:kill')\n"):
            self.put("tests/db/erase_test.py", text)
            self.assertEqual(self.complaints("faults"), [])
        self.put("tests/crash/crash.py", "OTHER = 1\n")
        self.assertIn("no ELSEWHERE", self.complaints("faults")[0])

    def test_fault_page(self):
        self.put("tests/db/x.py", "def test_it(bench):\n    pass\n")
        self.put("tests/unit/x.c", "START_TEST(it_is)\n")
        rows = ["| F%03d | goes wrong | `db/x.py` `test_it`, `unit/x.c` `it_is` |\n" % n for n in range(1, lint.FAULTS + 1)]
        self.put("docs/faults.md", "".join(rows))
        self.assertEqual(self.complaints("fault_page"), [])
        for bad, word in (("`db/x.py` `test_that`", "no test `test_that`"), ("`db/y.py` `test_it`", "no tests/db/y.py"), ("`unit/x.c` `it_is`, `db/x.py` `it_is`", "no test `it_is`"),
                          ("not yet", "neither a test")):
            self.put("docs/faults.md", "".join(rows[:6] + ["| F007 | goes wrong | %s |\n" % bad] + rows[7:]))
            self.assertIn(word, " ".join(self.complaints("fault_page")))
        self.put("docs/faults.md", "".join(rows[:6] + rows[7:]))
        self.assertIn("row 7 is F008, not F007", self.complaints("fault_page")[0])
        self.put("docs/faults.md", "".join(rows[:6] + ["| F007 | goes wrong | not held, because nobody asks |\n"] + rows[7:]))
        self.assertEqual(self.complaints("fault_page"), [])

    def test_places(self):
        self.assertSees("places", "engine/run/run_x.c", 'err_hint(err, "see "\n\t"docs/operating.md");\n', "docs/operating.md")
        self.put("engine/run/run_x.c", '/* docs/a.md */ err_hint(err, "operating.md in share/doc/mmretain, share/doc/mmretain/policies/a.yaml");\n')
        self.assertEqual(self.complaints("places"), [])

    def test_ledger_fields(self):
        row, page = "| `%s` | then | %s |\n", "# F\n\n## Ledger\n\n| `type` | when | fields |\n|---|---|---|\n%s\n## Plan file\n| `k` | lines | `no_field` |\n"
        self.put("engine/run/run_x.c", '/* x */\nstatic void put_more(struct e *e)\n{\n\tledger_bool(e, "more", 1);\n}\n\nstatic int line(const char *type)\n{\n'
                 '\tledger_begin(&e, ctx, type);\n\tledger_str(&e, "run", id);\n\tput_more(&e);\n\treturn ledger_append(l, &e, err);\n}\n\n'
                 'int run_x(void)\n{\n\treturn line(done ? "begun" : "ended");\n}\n')
        for begun, ended, word in (("`run`, `more` (true: `this`)", "as `begun`; no `run`", None), ("`run`, `more`", "`run`, `more`, `late`", "nothing appends `late`"),
                                   ("`run`", "`run`", "has `more`"), ("`run`, `more`", None, "no row for lines of type `ended`")):
            self.put("docs/formats.md", page % (row % ("begun", begun) + (row % ("ended", ended) if ended else "")))
            found = self.complaints("ledger_fields")
            self.assertEqual(len(found), 1 if word else 0, found)
            self.assertIn(word or "", "".join(found))

    def test_suites(self):
        self.put("tests/db/CMakeLists.txt", "# new_test\nadd_test(NAME old COMMAND python3 old_test.py)\n")
        self.put("tests/db/old_test.py", "")
        self.assertEqual(self.complaints("suites"), [])
        self.put("tests/db/new_test.py", "")
        self.assertIn("new_test.py", "".join(self.complaints("suites")))
        self.put("tests/db/new_test.py", "lib.outcome.main()\n")
        self.put("tests/db/CMakeLists.txt", "add_test(NAME x COMMAND old_test.py new_test.py)\n")
        self.assertEqual(self.complaints("suites"), [])
        self.put("tests/db/new_test.py", "    unittest.main(verbosity=1)\n")
        self.assertIn("new_test.py:1: unittest.main()", "".join(self.complaints("suites")))

    def test_width(self):
        self.put("engine/base/base_a.c", "/* a */\n" + "x" * 120 + "\n")
        self.assertEqual(self.complaints("width"), [])
        self.put("engine/base/base_a.c", "/* a */\n\t" + "x" * 113 + "\n")
        self.assertEqual(self.complaints("width"), ["engine/base/base_a.c:2: 121 columns, at most 120"])

    def test_workplace(self):
        subprocess.run(["git", "init", "-q", str(self.root)], check=True)
        self.put("notes.md", "built in /home/" + "somebody/src\n")
        subprocess.run(["git", "-C", str(self.root), "add", "notes.md"], check=True)
        self.assertEqual(len(self.complaints("workplace")), 1)


class Source(unittest.TestCase):
    def test_functions(self):
        text = "static int\nf(int a)\n{\n\tif (a) {\n\t}\n}\n\nstruct x {\n\tint y;\n};\n\nchar *g(void)\n{\n}\n"
        self.assertEqual([(n, length) for n, _, length in c_source.functions(text)], [("f", 5), ("g", 3)])

    def test_strings(self):
        self.assertEqual(list(c_source.strings('/* "no" */ f("a" /* x */ "b", \'"\', "c\\"d");')), [(1, "ab"), (1, 'c\\"d')])


if __name__ == "__main__":
    outcome.main()

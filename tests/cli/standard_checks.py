#!/usr/bin/env python3
"""What every command must do alike, whatever it is for: help, version, a bad option, a full device, closed descriptors.

usage: standard_checks.py BINARY
"""
import fcntl
import itertools
import os
import pathlib
import pty
import re
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import outcome  # noqa: E402

BINARY = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else "mmretain"
SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent


def run(*words, **more):
    env = {"PATH": "/usr/bin:/bin", "TERM": "dumb", "HOME": "/nonexistent"}
    env.update(more.pop("env", {}))
    return subprocess.run([BINARY, *words], env=env, stdin=subprocess.DEVNULL, timeout=60,
                          **{"capture_output": True, "text": True, **more})


def words_of_help():
    text = run("help").stdout
    return re.findall(r"^  ([a-z]+) +\S", text.split("commands:\n")[1].split("\n\n")[0], re.M)


class Sources(unittest.TestCase):
    def test_plurals(self):
        """A number comes before a word that fits one of them too."""
        bare = re.compile(r'%(?:llu|lld|zu|zd|u|d) (?:accounts|bundles|channels|entries|files|frames|hits|lines|pictures|posts|rows|rules|threads)\b')
        found = [f"{p.name}:{n}" for p in sorted((SOURCE / "engine" / "cli").glob("*.c")) for n, line in enumerate(p.read_text(encoding="utf-8").split("\n"), 1)
                 if bare.search(line)]
        self.assertEqual(found, [])


class EveryCommand(unittest.TestCase):
    def test_help(self):
        self.assertGreater(len(words_of_help()), 2)
        for word in words_of_help():
            for words in ((word, "--help"), (word, "-h"), ("help", word)):
                with self.subTest(words):
                    done = run(*words)
                    self.assertEqual((done.returncode, done.stderr), (0, ""))
                    self.assertTrue(done.stdout.startswith("usage: mmretain " + word))

    def test_version(self):
        for word in words_of_help():
            for option in ("--version", "-V"):
                done = run(word, option)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertRegex(done.stdout, r"\Ammretain \d+\.\d+\.\d+\n\Z")

    def test_bad_option(self):
        for word in words_of_help():
            done = run(word, "--no-such-option")
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertTrue(done.stderr.startswith('mmretain: error: unknown option "--no-such-option"\n'), done.stderr)

    def test_missing_policy(self):
        """Exit 10, nothing on stdout, one message, and the path in it."""
        operands = {"abandon": ["x"], "explain": ["town-square"], "report": ["last"], "show": ["x"], "restore": ["x"], "hold": ["list"]}
        for word in set(words_of_help()) - {"schema", "completion", "help", "version", "doctor"}:
            with self.subTest(word):
                done = run(word, "-c", "/nonexistent/policy.yaml", *operands.get(word, []))
                self.assertEqual((done.returncode, done.stdout), (10, ""))
                self.assertEqual(done.stderr.count("mmretain: error: "), 1)
                self.assertIn("/nonexistent/policy.yaml", done.stderr)

    def test_missing_policy_names_the_other_way(self):
        """Where the archive root can be named instead, the hint says so."""
        found = 0
        operands = {"abandon": ["x"], "report": ["last"], "show": ["x"], "hold": ["list"]}
        for word in words_of_help():
            if "--archive FOLDER" in run("help", word).stdout:
                with self.subTest(word):
                    found += 1
                    self.assertRegex(run(word, "-c", "/nonexistent/policy.yaml", *operands.get(word, [])).stderr, r"\n  hint: .*--archive FOLDER")
        self.assertGreater(found, 8)

    def test_no_colours_without_a_terminal(self):
        for word in words_of_help():
            self.assertNotIn("\033", run(word, "--help").stdout)


class Output(unittest.TestCase):
    PRINTING = (["help"], ["version"], ["help", "--format", "man"], ["completion", "bash"])

    def test_full_device(self):
        for words in self.PRINTING:
            with open("/dev/full", "w") as full:
                done = run(*words, capture_output=False, stdout=full, stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, 1)
            self.assertIn("cannot write the result to standard output: No space left on device", done.stderr)

    def test_reader_that_left(self):
        """Whoever reads the first line only has what was wanted: neither a message nor a failure, and no death by SIGPIPE."""
        for words in self.PRINTING:
            r, w = os.pipe()
            os.close(r)
            done = run(*words, capture_output=False, stdout=w, stderr=subprocess.PIPE)
            os.close(w)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        r, w = os.pipe()
        os.close(r)
        done = run("doctor", "-c", "/nonexistent/policy.yaml", capture_output=False, stdout=w, stderr=subprocess.PIPE)
        os.close(w)
        self.assertEqual(done.returncode, 10)  # its own

    def test_full_stderr(self):
        with open("/dev/full", "w") as full:
            done = run("no-such-command", capture_output=False, stdout=subprocess.PIPE, stderr=full)
        self.assertEqual(done.returncode, 2)

    def test_closed_descriptors(self):
        """A closed 0, 1 or 2 must not become the next file that is opened."""
        for n in range(4):
            for closed in itertools.combinations((0, 1, 2), n):
                script = "exec '%s' version %s" % (BINARY, " ".join("%d>&-" % fd for fd in closed))
                done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 0, (closed, done.stderr))
                self.assertEqual(bool(done.stdout), 1 not in closed)

    def test_signal_while_the_result_waits(self):
        """The work is done; whoever reads it slowly gets all of it, and the status is that of the work."""
        wanted = run("help", "--format", "markdown").stdout
        reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        process = subprocess.Popen([BINARY, "help", "--format", "markdown"], stdout=writer, stderr=subprocess.PIPE, text=True)
        os.close(writer)
        full, end = b"\0" * 4, time.monotonic() + 30
        while struct.unpack("i", full)[0] < 4096 and time.monotonic() < end:
            full = fcntl.ioctl(reader, termios.FIONREAD, full)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        with open(reader, encoding="utf-8") as f:
            out = f.read()
        err = process.communicate(timeout=30)[1]
        self.assertEqual((process.returncode, err), (0, ""))
        self.assertEqual(out, wanted)

    def test_locales(self):
        wanted = run("help", "--format", "markdown").stdout
        for locale in ("C", "POSIX", "C.UTF-8", "tr_TR.UTF-8", "de_DE.UTF-8", "no_such_LOCALE"):
            for zone in ("UTC", "Europe/Berlin", "No/Where"):
                self.assertEqual(run("help", "--format", "markdown", env={"LC_ALL": locale, "TZ": zone}).stdout, wanted)


class Terminal(unittest.TestCase):
    """doctor without a policy prints one coloured line."""

    WORDS = ["doctor", "-c", "/nonexistent/policy.yaml"]

    def on_terminal(self, *words, **env):
        leader, follower = pty.openpty()
        done = run(*words, capture_output=False, stdout=follower, stderr=subprocess.DEVNULL, env={"TERM": "xterm", **env})
        os.close(follower)
        text = os.read(leader, 65536).decode()
        os.close(leader)
        self.assertEqual(done.returncode, 10)
        return text

    def test_colours_on_a_terminal(self):
        self.assertIn("\033[31mfail\033[0m", self.on_terminal(*self.WORDS))

    def test_no_colours_when_unwanted(self):
        self.assertNotIn("\033", self.on_terminal(*self.WORDS, NO_COLOR="1"))
        self.assertNotIn("\033", self.on_terminal(*self.WORDS, TERM="dumb"))
        self.assertNotIn("\033", self.on_terminal(*self.WORDS, "--color", "never"))
        self.assertNotIn("\033", run(*self.WORDS).stdout)

    def test_colours_of_errors(self):
        """Where they go counts, and --color for them too."""
        for words, env, coloured in (((), {}, True), ((), {"TERM": "dumb"}, False), ((), {"NO_COLOR": "1"}, False), (("--color", "never"), {}, False)):
            leader, follower = pty.openpty()
            run("check", "-c", "/nonexistent/policy.yaml", *words, capture_output=False, stdout=subprocess.DEVNULL, stderr=follower, env={"TERM": "xterm", **env})
            os.close(follower)
            self.assertEqual("\033[31merror:" in os.read(leader, 65536).decode(), coloured, (words, env))
            os.close(leader)

    def test_help_is_wrapped(self):
        for word in words_of_help():
            text = run("help", word).stdout
            self.assertLessEqual(max(map(len, text.split("example:")[0].split("\n"))), 100, word)

    def test_colours_when_asked_for(self):
        self.assertIn("\033[31m", run(*self.WORDS, "--color", "always").stdout)

    def test_json_on_a_terminal_is_ascii(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "b\u00fcro\u202e\u009b.yaml")
            text = self.on_terminal("check", "-c", path, "--json")
            self.assertTrue(text == "" or text.isascii(), text)


class Manual(unittest.TestCase):
    def test_completion_scripts(self):
        for shell in ("bash", "zsh", "fish"):
            done = run("completion", shell)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            for word in words_of_help():
                self.assertRegex(done.stdout, r"\b%s\b" % word)
            binary = "/usr/bin/" + shell
            if os.path.exists(binary):
                with tempfile.NamedTemporaryFile("w", suffix="." + shell) as script:
                    script.write(done.stdout)
                    script.flush()
                    check = subprocess.run([binary, "-n", script.name], capture_output=True, text=True)
                    self.assertEqual((check.returncode, check.stderr), (0, ""))

    def test_bash_completion_answers(self):
        script = run("completion", "bash").stdout + (
            "\ncomplete_line() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _mmretain; echo \"${COMPREPLY[@]}\"; }\n"
            "complete_line mmretain ver\ncomplete_line mmretain version --ver\ncomplete_line mmretain --color al\n"
            "complete_line mmretain completion z\n")
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
        words = done.stdout.split("\n")
        self.assertIn("version", words[0].split())
        self.assertEqual(set(words[1].split()), {"--verbose", "--version"})
        self.assertEqual(words[2:4], ["always", "zsh"])

    def test_man_page_has_no_warnings(self):
        if not os.path.exists("/usr/bin/groff"):
            self.skipTest("groff is not installed")
        page = run("help", "--format", "man").stdout
        done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z"], input=page, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_every_command_is_in_every_manual(self):
        man, markdown = run("help", "--format", "man").stdout, run("help", "--format", "markdown").stdout
        for word in words_of_help():
            self.assertIn('.SS "mmretain %s' % word, man)
            self.assertIn("\n## %s\n" % word, markdown)


if __name__ == "__main__":
    outcome.main()

#!/usr/bin/env python3
"""The exported page in a real browser: no request, no message on the console, every payload inert.

usage: audit_page.py MMRETAIN AUDIT_ARCHIVE [KEEP]     KEEP: folder for the page and its pictures

Skipped without chromium.
"""
import html.parser
import http.server
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import outcome  # noqa: E402
import scratch  # noqa: E402

MMRETAIN, MAKER = (os.path.abspath(p) for p in sys.argv[1:3])
KEEP = sys.argv[3] if len(sys.argv) > 3 else None
del sys.argv[1:]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TAGS = {"html", "head", "meta", "link", "title", "style", "body", "header", "h1", "h2", "h3", "p", "nav", "a", "main", "section", "div", "b", "span",
        "article", "time", "figure", "img", "figcaption", "details", "summary", "footer", "table", "thead", "tbody", "tr", "th", "td", "ul",
        "ol", "li", "dl", "dt", "dd", "blockquote", "pre", "code", "em", "strong", "del", "br", "hr"}
ATTRIBUTES = {"alt", "aria-current", "aria-hidden", "aria-label", "aria-labelledby", "charset", "class", "content", "datetime", "dir", "download", "href", "http-equiv", "id", "lang", "name",
              "rel", "role", "scope", "src", "start", "target", "title", "open"}


class Inert(html.parser.HTMLParser):
    def __init__(self, test):
        super().__init__(convert_charrefs=True)
        self.test = test
        self.links = 0

    def handle_starttag(self, tag, attrs):
        self.test.assertIn(tag, TAGS)
        for name, value in attrs:
            self.test.assertIn(name, ATTRIBUTES)
            if name == "src":
                self.test.assertRegex(value, r"\Adata:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]*\Z")
            if name == "href" and tag == "a":
                self.links += 1
                self.test.assertRegex(value, r"\A(https?://|mailto:|page_files/[0-9a-f]{24}\.[a-z0-9]+\Z|page(-\d+)?\.html\Z)")
            if name == "http-equiv":
                self.test.assertEqual(value, "Content-Security-Policy")


class Outline(html.parser.HTMLParser):
    """What somebody who does not see the page finds in it: headings in their order, names of sections, texts of a class."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.headings, self.sections, self.navigation, self.links, self.ids, self.by, self.titles, self.into = [], [], [], [], {}, [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.titles.append(attrs.get("title", ""))
        if re.fullmatch("h[1-6]", tag):
            self.into = [tag, ""]
            self.headings.append(self.into)
            if "id" in attrs:
                self.ids[attrs["id"]] = self.into
        elif tag == "section":
            self.sections.append(attrs.get("aria-labelledby"))
        elif tag == "nav":
            self.navigation.append(attrs.get("aria-label"))
        elif tag == "a" and "rel" in attrs:
            self.links.append((attrs["rel"], attrs["href"]))
        elif attrs.get("class") == "by":
            self.into = ["by", ""]
            self.by.append(self.into)

    def handle_data(self, data):
        if self.into:
            self.into[1] += data

    def handle_endtag(self, tag):
        if self.into and tag in (self.into[0], "span"):
            self.into = self.into if self.into[0] != "by" and tag == "span" else None


class Trap(http.server.BaseHTTPRequestHandler):
    seen = []

    def do_GET(self):
        Trap.seen.append(self.path)
        self.send_error(404)

    do_HEAD = do_POST = do_CONNECT = do_GET

    def log_message(self, *args):
        pass


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not CHROMIUM:
            raise unittest.SkipTest("needs chromium")
        cls.tmp = KEEP or scratch.folder("page", scratch.memory())
        os.makedirs(cls.tmp, exist_ok=True)
        root = os.path.join(cls.tmp, "archive")
        subprocess.run([MAKER, root, "1", "1200", "9", "index"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
        cls.page = os.path.join(cls.tmp, "page.html")
        words = "script OR alert OR evil OR HYPERLINK OR calc OR bidi OR backspace OR '<script>'"
        done = subprocess.run([MMRETAIN, "export", "--archive", root, "--case", "<b>17</b>", "--reason", "test", "--words", words, "--out", cls.page],
                              capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "TZ": "Europe/Berlin"})
        assert done.returncode == 0, done.stderr
        cls.trap = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Trap)
        threading.Thread(target=cls.trap.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.trap.shutdown()
        cls.trap.server_close()
        if not KEEP:
            scratch.remove(cls.tmp)

    def chromium(self, *words):
        with tempfile.TemporaryDirectory(prefix="mmr-chromium-", dir=scratch.memory()) as profile:
            return subprocess.run(
                [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                 "--disable-component-update", "--disable-sync", "--disable-default-apps", "--hide-scrollbars",
                 "--user-data-dir=" + profile, "--proxy-server=127.0.0.1:%d" % self.trap.server_port, "--proxy-bypass-list=<-loopback>",
                 "--enable-logging=stderr", "--v=0", "--virtual-time-budget=3000", *words, "file://" + self.page],
                capture_output=True, text=True, timeout=600)

    def test_source(self):
        with open(self.page, encoding="utf-8") as f:
            text = f.read()
        check = Inert(self)
        check.feed(text)
        self.assertGreater(check.links, 3)
        self.assertIn("&lt;script&gt;alert(1)", text)
        self.assertIn("verified: every row", text)
        self.assertIn("<p>Asked for: --words &#39;script OR alert", text)
        self.assertNotRegex(text, r"(?i)<script|\son[a-z]+\s*=\s*[^&]*>|@import|url\(")
        self.assertNotRegex(text, "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

    def test_outline(self):
        """Headings from the title to the day, none left out; each section has the name of its thread; who reacted is text."""
        with open(self.page, encoding="utf-8") as f:
            page = Outline(f.read())
        levels = [int(h[0][1]) for h in page.headings]
        self.assertEqual((levels[0], levels.count(1), set(levels)), (1, 1, {1, 2, 3}))
        self.assertLessEqual(max(b - a for a, b in zip(levels, levels[1:])), 1)
        self.assertTrue(all(h[1].strip() for h in page.headings))
        self.assertGreater(len(page.sections), 3)
        self.assertEqual(len(set(page.sections)), len(page.sections))
        for label in page.sections:
            self.assertRegex(page.ids[label][1], r"^(accelerator/chan-\d+|direct: |group: )")
        self.assertEqual(levels.count(2), len(page.sections) + 1)
        days = [h[1] for h in page.headings if h[0] == "h3"]
        self.assertTrue(all(re.fullmatch(r"\w+day, \d+ \w+ 20\d\d", d) for d in days), days)
        self.assertGreaterEqual(len(days), len(page.sections))
        self.assertGreater(len(page.by), 3)
        self.assertTrue(all(re.fullmatch(r"user\.\d+(, user\.\d+)*", b[1]) for b in page.by), page.by)
        self.assertEqual([t for t in page.titles if "user." in t], [])

    def test_browser(self):
        done = self.chromium("--dump-dom")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Where this comes from", done.stdout)
        self.assertNotRegex(done.stderr, r"(?i)CONSOLE|content security|refused to|uncaught")
        check = Inert(self)
        check.feed(done.stdout)  # what the browser made of it holds nothing else either
        ours = [p for p in Trap.seen if re.search(r"evil|pixel|a\.png|x\.css", p)]
        self.assertEqual(ours, [])

    def test_pictures(self):
        for name, words in (("light", ["--window-size=1000,1600"]), ("dark", ["--window-size=1000,1600", "--force-dark-mode",
                            "--blink-settings=preferredColorScheme=0"]), ("narrow", ["--window-size=500,1200"])):
            path = os.path.join(self.tmp, name + ".png")
            done = self.chromium("--screenshot=" + path, *words)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertGreater(os.path.getsize(path), 20000)
        path = os.path.join(self.tmp, "print.pdf")
        self.chromium("--print-to-pdf=" + path)
        self.assertGreater(os.path.getsize(path), 20000)


if __name__ == "__main__":
    outcome.main(verbosity=1)

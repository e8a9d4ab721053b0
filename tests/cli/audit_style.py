#!/usr/bin/env python3
"""The style of exported pages: every text is readable on whatever it stands on (WCAG 2, 4.5:1), on the screen in light and dark and on paper, and a link
is known by more than its colour.

usage: audit_style.py [TEST...]
"""
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import outcome  # noqa: E402

CSS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "engine", "audit", "text", "page.css")
RATIO = 4.5
# What stands where: text anywhere on page, card, deleted post and code; the rest has one place.
ANYWHERE, TEXT = ("bg", "card", "badbg", "code"), ("ink", "soft", "faint", "accent", "bad")
ELSEWHERE = {"accent": ("mention",), "warn": ("bg", "card", "code", "warnbg"), "good": ("bg", "card")}


def luminance(colour):
    digits = colour.lstrip("#")
    digits = "".join(2 * c for c in digits) if len(digits) == 3 else digits
    parts = [int(digits[i:i + 2], 16) / 255 for i in (0, 2, 4)]
    parts = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def ratio(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


class Style(unittest.TestCase):
    def setUp(self):
        with open(CSS, encoding="utf-8") as f:
            self.css = f.read()
        roots = [dict(re.findall(r"--(\w+):(#[0-9a-f]+)", body)) for body in re.findall(r":root\{([^}]*)\}", self.css)]
        self.assertEqual(len(roots), 3)
        self.themes = dict(zip(("light", "dark", "print"), roots))

    def test_contrast(self):
        pairs = [(t, b) for t in TEXT for b in ANYWHERE] + [(t, b) for t, bs in ELSEWHERE.items() for b in bs]
        for theme, colours in self.themes.items():
            for text, back in pairs:
                with self.subTest(theme=theme, text=text, on=back):
                    self.assertGreaterEqual(ratio(colours[text], colours[back]), RATIO)

    def test_letters_of_people(self):
        backs = re.findall(r"\.a\d+\{background:(#[0-9a-f]+)\}", self.css)
        self.assertEqual(len(backs), 12)
        for back in backs:
            self.assertGreaterEqual(ratio("#fff", back), RATIO, back)

    def test_no_other_colours(self):
        """What is not compared above: other colours of text and ground, and what makes text paler."""
        rules = re.sub(r":root\{[^}]*\}", "", self.css)
        self.assertEqual(set(re.findall(r"[{;]color:var\(--(\w+)\)", rules)), {*TEXT, *ELSEWHERE})
        self.assertEqual(set(re.findall(r"[{;]color:([^v][^;}]*)", rules)), {"#fff"})
        self.assertLessEqual(set(re.findall(r"[{;]background:var\(--(\w+)\)", rules)), {*ANYWHERE, "mention", "warnbg", "line"})
        self.assertNotRegex(rules, r"opacity|filter|mix-blend")

    def test_links(self):
        self.assertRegex(self.css, r"(?m)^a\{[^}]*text-decoration:underline")
        self.assertNotIn("text-decoration:none", self.css)


if __name__ == "__main__":
    outcome.main(verbosity=1)

"""The case files of run_cases.py: read, compare, write back.

A file holds cases; a case holds steps that share one temporary folder:

    == a policy with a misspelt key
    file policy.yaml
    | version: 1
    $ mmretain check -c policy.yaml
    exit 10
    stdout
    stderr
    | policy.yaml:1:1: error: ...

`file NAME` makes a file, `$ ` runs a command line (sh -c, `mmretain` is the binary under test).  After it come `exit N`
(0 when absent), `stdout` and `stderr` (empty when absent).  Text stands behind `| `.  A `~` behind `stdout` or `stderr` makes the lines
shell patterns, where a line of `...` stands for any number of lines; patterns are never rewritten.  The temporary folder is shown as
$TMP.  Lines that start with `#` are comments.
"""
import fnmatch
import re


class Step:
    def __init__(self, command):
        self.command = command
        self.exit = 0
        self.text = {"stdout": [], "stderr": []}
        self.glob = {"stdout": False, "stderr": False}


class Case:
    def __init__(self, name, line):
        self.name = name
        self.line = line
        self.parts = []  # ("comment", text) | ("file", name, lines) | ("step", Step)


def read(path):
    cases, case, step, target, head = [], None, None, None, []
    for number, line in enumerate(open(path, encoding="utf-8").read().split("\n"), 1):
        where = "%s:%d" % (path, number)
        if line.startswith("== "):
            case, step, target = Case(line[3:].strip(), number), None, None
            cases.append(case)
        elif line.startswith("#") or not line.strip():
            target = None
            if line.startswith("#"):
                (case.parts.append(("comment", line)) if case else head.append(line))
        elif line == "|" or line.startswith("| "):
            if target is None:
                raise SystemExit(where + ": text without a section")
            target.append(line[2:])
        elif case is None:
            raise SystemExit(where + ": a case starts with `== `")
        elif line.startswith("file "):
            target, step = [], None
            case.parts.append(("file", line[5:].strip(), target))
        elif line.startswith("$ "):
            step, target = Step(line[2:]), None
            case.parts.append(("step", step))
        elif step is not None and re.fullmatch(r"exit \d+", line):
            step.exit, target = int(line[5:]), None
        elif step is not None and line.rstrip("~") in step.text:
            name = line.rstrip("~")
            step.glob[name], target = line.endswith("~"), step.text[name]
        else:
            raise SystemExit(where + ": cannot read %r" % line)
    return head, cases


def write(path, head, cases):
    out = list(head)
    for case in cases:
        out += [""] * bool(out) + ["== " + case.name]
        for part in case.parts:
            if part[0] == "comment":
                out.append(part[1])
            elif part[0] == "file":
                out += ["file " + part[1]] + ["| " + t if t else "|" for t in part[2]]
            else:
                step = part[1]
                out.append("$ " + step.command)
                if step.exit:
                    out.append("exit %d" % step.exit)
                for name in ("stdout", "stderr"):
                    if step.text[name]:
                        out.append(name + "~" * step.glob[name])
                        out += ["| " + t if t else "|" for t in step.text[name]]
    open(path, "w", encoding="utf-8").write("\n".join(out) + "\n")


def lines_match(patterns, lines):
    """Patterns line by line; `...` stands for any number of lines."""
    if not patterns:
        return not lines
    if patterns[0] == "...":
        return any(lines_match(patterns[1:], lines[i:]) for i in range(len(lines) + 1))
    # [ is common in our output and never meant as a set
    pattern = patterns[0].replace("[", "[[]")
    return bool(lines) and fnmatch.fnmatchcase(lines[0], pattern) and lines_match(patterns[1:], lines[1:])

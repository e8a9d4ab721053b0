#!/usr/bin/env python3
"""Run the command line against cases/*.case (format: case_file.py).

usage: run_cases.py BINARY [--rewrite] [CASE FILE...]

--rewrite puts what came out into the exact sections; look at the diff before you commit it.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

import case_file

HERE = pathlib.Path(__file__).resolve().parent


def environment(binary, tmp):
    # Nothing of the caller's: no locale, no colours, no PG* or MM_* variables.
    return {"PATH": os.path.join(tmp, ".bin") + ":/usr/bin:/bin", "HOME": tmp, "TZ": "UTC", "TERM": "dumb",
            "SOURCE": str(HERE.parent.parent)}


def run_step(step, env, tmp):
    done = subprocess.run(["sh", "-c", step.command], cwd=tmp, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    texts = {}
    for name, data in (("stdout", done.stdout), ("stderr", done.stderr)):
        text = data.decode("utf-8", "backslashreplace").replace(tmp, "$TMP").replace(env["SOURCE"], "$SOURCE")
        lines = text.split("\n")
        texts[name] = lines[:-1] if lines[-1] == "" else lines
    return done.returncode, texts


def differences(step, code, texts):
    if code != step.exit:
        yield "exit status %d, expected %d" % (code, step.exit)
    for name in ("stdout", "stderr"):
        same = case_file.lines_match(step.text[name], texts[name]) if step.glob[name] else step.text[name] == texts[name]
        if not same:
            yield "%s:\n%s\n  expected%s:\n%s" % (name, "\n".join("    | " + t for t in texts[name]),
                                                  " pattern" if step.glob[name] else "",
                                                  "\n".join("    | " + t for t in step.text[name]))


def run_case(case, binary, rewrite):
    faults = []
    with tempfile.TemporaryDirectory(prefix="mmr-case-") as tmp:
        os.mkdir(os.path.join(tmp, ".bin"))
        os.symlink(os.path.abspath(binary), os.path.join(tmp, ".bin", "mmretain"))
        env = environment(binary, tmp)
        for part in case.parts:
            if part[0] == "file":
                path = os.path.join(tmp, part[1])
                os.makedirs(os.path.dirname(path), exist_ok=True)
                open(path, "w", encoding="utf-8").write("".join(t + "\n" for t in part[2]))
            elif part[0] == "step":
                step = part[1]
                code, texts = run_step(step, env, tmp)
                if rewrite:
                    step.exit = code
                    for name in texts:
                        if not step.glob[name]:
                            step.text[name] = texts[name]
                faults += ["$ %s\n  %s" % (step.command, d) for d in differences(step, code, texts)]
        subprocess.run(["chmod", "-R", "u+rwX", tmp], check=False)
    return faults


def main():
    args = [a for a in sys.argv[1:] if a != "--rewrite"]
    rewrite = "--rewrite" in sys.argv
    if not args:
        raise SystemExit(__doc__)
    if not os.access(args[0], os.X_OK):
        raise SystemExit("%s: no program" % args[0])
    paths = args[1:] or sorted(map(str, (HERE / "cases").glob("*.case")))
    ran = failed = 0
    for path in paths:
        head, cases = case_file.read(path)
        for case in cases:
            ran += 1
            faults = run_case(case, args[0], rewrite)
            failed += bool(faults)
            for fault in faults:
                print("FAIL %s:%d: %s\n  %s" % (os.path.relpath(path), case.line, case.name, fault))
        if rewrite:
            case_file.write(path, head, cases)
    print("%d cases, %d failed" % (ran, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

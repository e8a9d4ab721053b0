#!/usr/bin/env python3
"""A night with thousands of bundles: `status` and `report` in time that grows with them and no faster, and in little memory.

usage: many_bundles.py BINARY [FOLDER N]

With FOLDER it makes there the archive of a night of N bundles, and nothing else.
"""
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
AT = "2026-11-20T02:00:00Z"
FEW, MANY = 5000, 20000
MEMORY = 128 << 10  # KiB
GROWTH = 10  # for four times as many; what grows with the square takes sixteen times as long


def night(n):
    """The lines of a run in their order: every bundle is deleted, then swept, and its attachments go last."""
    names = [f"mmr1-hr-203611-{i:06}-{hashlib.sha256(b'%d' % i).hexdigest()[:12]}.tar.zst" for i in range(n)]
    line = {"at": AT, "run": "r1"}
    yield {**line, "type": "run-begin", "tool": "mmretain", "host": "h", "system_identifier": "1", "database": "m", "trigger": "timer", "uid": 1, "policy_digest": "", "purge": True}
    for name in names:
        digest = hashlib.sha256(name.encode()).hexdigest()
        yield {**line, "type": "published", "rule": "alarms", "bundle": name, "rel_path": f"bundles/2026/11/{name}", "file_digest": digest, "rows_digest": digest, "previous_digest": digest,
               "policy_digest": digest, "threads": 4, "posts": 9, "rows": 20, "blobs": 1, "file_bytes": 5000, "snapshot_ms": 1764090000000, "expires_ms": 2764090000000}
        yield {**line, "type": "purging", "bundle": name}
        yield {**line, "type": "purged", "bundle": name, "threads": 3, "posts": 7, "rows": {"post": 7, "thread": 3}, "batches": 1, "kept_changed": 1, "kept_held": 0, "kept_locked": 0, "kept_gone": 0}
    for name in names:
        yield {**line, "type": "sweep", "bundle": name, "late_restored": 0, "late_removed": 0}
    for name in names:
        yield {**line, "type": "unlinked", "bundle": name, "blobs_unlinked": 1, "blobs_shared": 0, "blobs_failed": 0, "bytes_unlinked": 100}
        yield {**line, "type": "bundle-done", "bundle": name}
    yield {**line, "type": "run-end", "outcome": "complete", "exit": 0, "duration_ms": 60000}


def make(folder, n):
    archive = folder / str(n)
    policy = folder / "policy.yaml"
    policy.write_text(f"version: 1\ndatabase: {{service: chat}}\narchive: {{store: {archive}}}\nrules:\n  - {{name: all, match: {{}}, keep: forever}}\n", encoding="utf-8")
    subprocess.run([BINARY, "init", "-q", "-c", policy], check=True, stdout=subprocess.DEVNULL)
    lines = list(night(n))
    place = archive / "bundles" / "2026" / "11"
    place.mkdir(parents=True)
    for line in lines:
        if line["type"] == "published":
            (place / line["bundle"]).touch()
    text = "".join(json.dumps(line) + "\n" for line in lines)
    subprocess.run([sys.executable, HERE / "make_ledger.py", archive / "ledger" / "entries.jsonl"], input=text, text=True, check=True)


def measure(folder, archive, *args):
    """(output, seconds of CPU, KiB)"""
    out = folder / "out"
    with open(out, "wb") as f:
        process = subprocess.Popen([BINARY, *args, "--archive", archive], stdout=f)
        _, status, use = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, (args, process.returncode)
    return out.read_text(encoding="utf-8"), use.ru_utime + use.ru_stime, use.ru_maxrss


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="many."))
    try:
        for n in (FEW, MANY):  # by another process: what this one holds counts as memory of those that it starts
            subprocess.run([sys.executable, __file__, BINARY, folder, str(n)], check=True)
        archives = {n: folder / str(n) for n in (FEW, MANY)}
        for args, want in ((("status",), rf"r1 .*{3 * MANY}"), (("report", "last"), rf"evidence +{MANY} bundles\n"), (("report", "list"), rf"r1 .*{4 * MANY}"),
                           (("report", "last", "--json"), None)):
            _, few, _ = measure(folder, archives[FEW], *args)
            text, many, memory = measure(folder, archives[MANY], *args)
            print(f"{' '.join(args)}: {few:.2f} s, {many:.2f} s, {memory >> 10} MiB")
            assert want is None or re.search(want, text), text[:2000]
            if want is None:
                doc = json.loads(text)
                assert len(doc["bundles"]) == doc["totals"]["archived"]["bundles"] == MANY and doc["totals"]["deleted"]["posts"] == 7 * MANY
                assert all(b["done"] and b["purged"]["posts"] == 7 and b["unlinked"]["blobs_unlinked"] == 1 and b["rule"] == "alarms" for b in doc["bundles"])
            assert memory < MEMORY, f"{args}: {memory} KiB"
            assert many < GROWTH * max(few, 0.1), f"{args}: {few} s for {FEW} bundles, {many} s for {MANY}"
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    BINARY = os.path.abspath(sys.argv[1])
    if len(sys.argv) > 2:
        make(pathlib.Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()

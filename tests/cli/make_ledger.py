#!/usr/bin/env python3
"""Chain the JSON objects of standard input (one a line: `at`, `type`, fields) into a ledger file, as docs/formats.md says.

usage: make_ledger.py FILE < lines

Written from the format's words and sharing nothing with the engine, so that the engine's reading is tested by it.
"""
import hashlib
import json
import sys


def main():
    previous, out = "0" * 64, bytearray()
    for seq, line in enumerate(filter(str.strip, sys.stdin), 1):
        fields = json.loads(line)
        head = {"seq": seq, "at": fields.pop("at"), "prev": previous, "type": fields.pop("type")}
        body = json.dumps({**head, **fields}, separators=(",", ":"), ensure_ascii=False).encode()[:-1]
        previous = hashlib.sha256(body).hexdigest()
        out += body + b',"hash":"' + previous.encode() + b'"}\n'
    open(sys.argv[1], "wb").write(out)


if __name__ == "__main__":
    main()

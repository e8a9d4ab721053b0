#!/usr/bin/env python3
"""A command in the sandbox that a systemd unit describes, for machines where systemd itself does not run.

    unshare --mount --propagation private sandbox.py [--uid UID] [--drop-in FILE] UNIT WRITABLE... -- COMMAND...

The file system is read-only but for the folders WRITABLE, which stand for the unit's ReadWritePaths; homes are empty; system calls are filtered, capabilities gone
but for those of the unit and its drop-in.  UID stands for User: without it root stays root.
Each setting of the unit is applied by the code here that bears its name: one that nobody here applies is an error, so that the unit
does not promise what no test has seen.  Needs root, python3-seccomp, systemd-analyze.
"""
import argparse
import configparser
import ctypes
import errno
import os
import pathlib
import signal
import socket
import subprocess
import sys

import seccomp

PR_SET_KEEPCAPS, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, LAST_CAP = 8, 24, 38, 47, 2, 63
CAPABILITIES = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_DAC_READ_SEARCH": 2}
NAMESPACES = 0x7E020000 | 0x00000080  # CLONE_NEWNS ... CLONE_NEWTIME
SUID_SGID, WRITE_EXEC, SCHED_SAFE = 0o6000, 2 | 4, (0, 3, 5)  # other, batch, idle


class MultiDict(dict):
    """A key that stands several times adds up."""

    def __setitem__(self, key, value):
        if isinstance(value, list) and key in self:
            self[key].extend(value)
        else:
            super().__setitem__(key, value)


def settings(*units):
    """Of a unit and its drop-ins; an empty value takes back what stood before."""
    parser = configparser.RawConfigParser(dict_type=MultiDict, strict=False, delimiters=("=",), comment_prefixes=("#", ";"))
    parser.optionxform = str
    parser.read_string("\n".join(pathlib.Path(u).read_text(encoding="utf-8") for u in units))
    return {k: " ".join((v if isinstance(v, str) else "\n".join(v)).split("\n")).strip() for k, v in parser["Service"].items()}


# ---- the file system ----
def mounts():
    with open("/proc/self/mounts", encoding="ascii") as f:
        return [line.split()[1].encode().decode("unicode_escape") for line in f]


def mount(*args):
    subprocess.run(["mount", *args], check=True, stdout=subprocess.DEVNULL)


def file_system(writable, homes):
    for path in writable:
        mount("--bind", path, path)
    for path in reversed(mounts()):
        if not any(path == w or path.startswith(w + "/") for w in writable) and not path.startswith("/proc"):
            subprocess.run(["mount", "-o", "remount,bind,ro", path], check=path == "/", stderr=subprocess.DEVNULL)  # what others mounted over is out of sight
    for path in homes:
        if os.path.isdir(path) and not any(w.startswith(path + "/") for w in writable):
            mount("-t", "tmpfs", "-o", "ro", "tmpfs", path)


# ---- system calls ----
def call(name):
    return seccomp.resolve_syscall(seccomp.Arch(), name)


def members(group):
    """The system calls of a group, as this machine's systemd knows them."""
    text = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager", group], capture_output=True, text=True, check=True).stdout
    found = set()
    for word in (line.strip() for line in text.split("\n")[1:]):
        if word.startswith("@"):
            found |= members(word)
        elif word and not word.startswith("#"):
            found.add(word)
    return found


def deny(*rules):
    """(system call, condition) refused, the rest allowed."""
    f = seccomp.SyscallFilter(seccomp.ALLOW)
    for name, *conditions in rules:
        if call(name) >= 0:
            f.add_rule(seccomp.ERRNO(errno.EPERM), name, *conditions)
    f.load()


def allow(names):
    f = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
    for name in names:
        if call(name) >= 0 and name != "clone3":
            f.add_rule(seccomp.ALLOW, name)
    f.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")  # what it is asked for cannot be looked into: callers take clone then
    f.load()


def families(words):
    known = {getattr(socket, w) for w in words.split()}
    deny(*[("socket", seccomp.Arg(0, seccomp.EQ, n)) for n in range(64) if n not in known], ("socket", seccomp.Arg(0, seccomp.GE, 64)))


# ---- each setting ----
def no_suid():
    chmods = (("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("mkdir", 1), ("mkdirat", 2), ("creat", 1), ("openat", 3), ("open", 2), ("mknod", 1), ("mknodat", 2))
    deny(*[(name, seccomp.Arg(at, seccomp.MASKED_EQ, bit, bit)) for name, at in chmods for bit in (0o4000, 0o2000)])
    f = seccomp.SyscallFilter(seccomp.ALLOW)
    f.add_rule(seccomp.ERRNO(errno.ENOSYS), "openat2")  # its mode is behind a pointer, so systemd takes the whole call away
    f.load()


def few_capabilities(bounding, ambient, uid):
    libc = ctypes.CDLL(None, use_errno=True)
    for cap in set(range(LAST_CAP)) - bounding:
        libc.prctl(PR_CAPBSET_DROP, cap, 0, 0, 0)  # those that this kernel does not have
    if uid:
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    mask = sum(1 << cap for cap in ambient)
    header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(mask, mask, mask)
    if libc.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    for cap in ambient:
        if libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "ambient capability")


def no_new_privileges():
    if ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError("no_new_privs")


FILTERS = {
    "RestrictSUIDSGID": no_suid,
    "RestrictNamespaces": lambda: deny(("unshare",), ("setns",), *[("clone", seccomp.Arg(0, seccomp.MASKED_EQ, bit, bit)) for bit in (1 << i for i in range(32)) if bit & NAMESPACES]),
    "RestrictRealtime": lambda: deny(*[("sched_setscheduler", seccomp.Arg(1, seccomp.EQ, n)) for n in range(16) if n not in SCHED_SAFE]),
    "LockPersonality": lambda: deny(("personality", seccomp.Arg(0, seccomp.NE, 0xFFFFFFFF))),
    "MemoryDenyWriteExecute": lambda: deny(("mmap", seccomp.Arg(2, seccomp.MASKED_EQ, WRITE_EXEC, WRITE_EXEC)), ("mprotect", seccomp.Arg(2, seccomp.MASKED_EQ, 4, 4)),
                                           ("pkey_mprotect", seccomp.Arg(2, seccomp.MASKED_EQ, 4, 4)), ("shmat", seccomp.Arg(2, seccomp.MASKED_EQ, 0o100000, 0o100000))),
}
# By a read-only file system without capabilities, and by system calls that are not among those allowed.
FOLLOWS = {"ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups", "ProtectClock", "ProtectHostname", "PrivateDevices", "PrivateTmp"}
NO_SANDBOX = {"Type", "User", "ExecStart", "ExecStopPost", "SuccessExitStatus", "TimeoutStartSec", "TimeoutStopSec", "KillMode", "Nice", "IOSchedulingClass"}
FIXED = {"ProtectSystem": "strict", "ProtectHome": "yes", "NoNewPrivileges": "yes", "SystemCallArchitectures": "native", "SystemCallErrorNumber": "EPERM"}


def check(wanted):
    for key, value in wanted.items():
        if key in FIXED and FIXED[key] != value or (key in FILTERS or key in FOLLOWS) and value != "yes":
            raise SystemExit(f"{key}={value}: nobody here tries that")
        if key not in {*FILTERS, *FOLLOWS, *NO_SANDBOX, *FIXED, "AmbientCapabilities", "CapabilityBoundingSet", "ReadWritePaths", "RestrictAddressFamilies", "SystemCallFilter", "UMask"}:
            raise SystemExit(f"{key}: nobody here tries it")


def apply(wanted, writable, uid):
    check(wanted)
    bounding, ambient = ({CAPABILITIES[word] for word in wanted.get(key, "").split()} for key in ("CapabilityBoundingSet", "AmbientCapabilities"))
    if "CapabilityBoundingSet" not in wanted or not ambient <= bounding:
        raise SystemExit("capabilities that are not bound")
    file_system([os.path.realpath(p) for p in writable], ("/home", "/root", "/run/user"))
    os.umask(int(wanted["UMask"], 8))
    names = set().union(*[members(w) if w.startswith("@") else {w} for w in wanted["SystemCallFilter"].split()])
    no_new_privileges()
    few_capabilities(bounding, ambient, uid)
    families(wanted["RestrictAddressFamilies"])
    for key, load in FILTERS.items():
        if key in wanted:
            load()
    allow(names | {"seccomp"})


def main():
    at = sys.argv.index("--")
    parser = argparse.ArgumentParser()
    parser.add_argument("--uid", type=int)
    parser.add_argument("--drop-in", action="append", default=[])
    parser.add_argument("unit")
    parser.add_argument("writable", nargs="*")
    args = parser.parse_args(sys.argv[1:at])
    apply(settings(args.unit, *args.drop_in), args.writable, args.uid)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execvp(sys.argv[at + 1], sys.argv[at + 1:])


if __name__ == "__main__":
    main()

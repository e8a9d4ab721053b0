"""Folders and servers of a test that go when it ends, however it ends.

at_end(f) is called when the process ends: by itself, by an exception, by SIGTERM or SIGHUP.  After a SIGKILL nobody is there to call it:
the next test that makes a folder removes what such a one left.  A folder belongs to who holds the lock on its OWNER file, so a
folder without that file, or of a process that lives, is never touched.
"""
import atexit
import fcntl
import os
import shutil
import signal
import sys
import tempfile
import threading

OWNER = ".owner"
PLACES = ("/tmp", "/dev/shm")
_todo = []
_locks = {}
_pid = None


def at_end(call):
    """Calls `call()` at the end of this process, the last one first; not in children."""
    global _pid
    if _pid != os.getpid():
        _pid = os.getpid()
        _todo.clear()
        atexit.register(_end)
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) == signal.SIG_DFL:
                    signal.signal(number, _on_signal)
    _todo.append(call)


def _end():
    while _todo and _pid == os.getpid():
        try:
            _todo.pop()()
        except Exception as problem:  # the others still want to be called
            print(f"at the end of a test: {problem}", file=sys.stderr)


def _on_signal(number, _frame):
    if _pid == os.getpid() and "multiprocessing" in sys.modules:
        for child in sys.modules["multiprocessing"].active_children():
            child.kill()
    _end()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def memory():
    """A place in memory where there is room, else None, the usual one: servers and most tests are not about disks."""
    try:
        free = os.statvfs(PLACES[1])
    except OSError:
        return None
    roomy = free.f_bavail * free.f_frsize > 4 << 30 and not free.f_flag & os.ST_NOEXEC  # some tests run a copy of the program
    return PLACES[1] if roomy and "TMPDIR" not in os.environ else None


def folder(prefix, inside=None):
    """A new folder `mmr-<prefix>-...` that is removed at the end of this process."""
    sweep(inside)
    new = tempfile.mkdtemp(prefix=".mmr-", dir=inside)  # not yet of those that a sweep looks at
    os.chmod(new, 0o755)
    lock = os.open(os.path.join(new, OWNER), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    path = os.path.join(os.path.dirname(new), f"mmr-{prefix}-{os.path.basename(new)[5:]}")
    os.rename(new, path)
    _locks[path] = lock
    at_end(lambda: remove(path))
    return path


def remove(path):
    """Removes it now."""
    shutil.rmtree(path, ignore_errors=True)
    if path in _locks:
        os.close(_locks.pop(path))


def _server_lives(path):
    try:
        with open(os.path.join(path, "data", "postmaster.pid"), encoding="ascii") as f:
            pid = int(f.readline())
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return path.encode() in f.read()
    except (OSError, ValueError):
        return False


def _abandoned(path):
    """The lock that was taken on it, or None."""
    try:
        fd = os.open(os.path.join(path, OWNER), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        if os.fstat(fd).st_uid == os.geteuid():
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _server_lives(path):
                return fd
    except OSError:
        pass
    os.close(fd)
    return None


def sweep(inside=None):
    """Removes the folders of tests that were killed; their names."""
    gone = []
    for place in {tempfile.gettempdir(), inside or PLACES[0], *PLACES}:
        for name in os.listdir(place) if os.path.isdir(place) else ():
            path = os.path.join(place, name)
            fd = _abandoned(path) if name.startswith("mmr-") else None
            if fd is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(fd)
                gone.append(path)
    return gone

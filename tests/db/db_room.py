#!/usr/bin/env python3
"""Run db_room_test against a private server with Mattermost's schema, its standby, a pooler in miniature, and a front that speaks TLS.

    db_room.py PROGRAM [ARGUMENT]...
"""
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import cluster  # noqa: E402
import schema  # noqa: E402
import tls  # noqa: E402

KEY_DATA = b"K\x00\x00\x00\x0c"  # BackendKeyData: a pooler gives its own pid and secret


def _pump(source, target, change):
    try:
        while data := source.recv(65536):
            at = data.find(KEY_DATA) if change else -1
            if at >= 0:
                data = data[:at + 5] + struct.pack(">II", 4242, 7) + data[at + 13:]
            target.sendall(data)
    except OSError:
        pass
    target.close()


def pooler(server_socket, folder):
    """A listener that passes everything through except the pid."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.path.join(folder, ".s.PGSQL.5432"))
    listener.listen()

    def serve():
        while True:
            client, _ = listener.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(server_socket)
            threading.Thread(target=_pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=_pump, args=(server, client, True), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()


def standby(primary, folder):
    """A streaming standby of the primary in `folder`."""
    identity = cluster._identity()
    copy = cluster.Cluster(folder, settings={"primary_conninfo": f"'{primary.conninfo()}'"})
    copy._own(folder, identity)
    subprocess.run([os.path.join(cluster.pg_bin(), "pg_basebackup"), "-d", primary.conninfo(), "-D", copy.data, "-R", "-c", "fast"],
                   check=True, cwd=folder, env=primary._clean_env(), **identity)
    return copy


def main(argv):
    with cluster.Cluster() as primary, tempfile.TemporaryDirectory(prefix="mmr-room-") as folder:
        primary.createdb("mm")
        schema.install(primary.conninfo("mm"))
        os.chmod(folder, 0o755)
        for name in ("standby", "pooler", "tls"):
            os.mkdir(os.path.join(folder, name))
        pooler(os.path.join(primary.socket_dir, ".s.PGSQL.5432"), os.path.join(folder, "pooler"))
        ca = tls.Authority(os.path.join(folder, "tls"), "ca")
        front = tls.Front(os.path.join(primary.socket_dir, ".s.PGSQL.5432"), *ca.sign("server", "DNS:db.example.org"))
        front.start()
        secure = f"host=db.example.org hostaddr=127.0.0.1 port={front.port} sslmode=verify-full sslrootcert={ca.crt}"
        with standby(primary, os.path.join(folder, "standby")) as copy:
            return subprocess.run(argv, env=primary.env(
                "mm", MMR_TEST_STANDBY=copy.socket_dir, MMR_TEST_POOLER=os.path.join(folder, "pooler"), MMR_TEST_TLS=secure)).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

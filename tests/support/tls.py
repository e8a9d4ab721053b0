"""Certificates of a CA that a test made, by openssl, and a front that speaks TLS for a server that does not.

    ca = Authority(folder, "good")                    # folder/good.crt
    cert, key = ca.sign("server", "DNS:db.example.org")
    front = Front(pg, cert, key); front.start()       # 127.0.0.1, front.port
"""
import contextlib
import os
import select
import socket
import ssl
import struct
import subprocess
import threading

from listener import TcpListener, end

SSL_REQUEST = struct.pack("!ii", 8, 80877103)


class Authority:
    """A CA whose files are in `folder`: `name`.crt is what a client trusts."""

    def __init__(self, folder, name):
        self.folder, self.name, self.crt = folder, name, os.path.join(folder, name + ".crt")
        self._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={name} authority", "-keyout", name + ".key", "-out", name + ".crt")

    def _openssl(self, *args):
        subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=self.folder)

    def sign(self, name, hosts, expired=False):
        """(certificate, key) for `hosts`, as `DNS:one,DNS:two,IP:127.0.0.1`; expired: long ago."""
        self._openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-addext", f"subjectAltName={hosts}", "-keyout", name + ".key", "-out", name + ".csr")
        for path in ("index", "index.attr"):
            with open(os.path.join(self.folder, path), "w", encoding="ascii"):
                pass
        with open(os.path.join(self.folder, "ca.cnf"), "w", encoding="ascii") as f:
            f.write("[ca]\ndefault_ca=c\n[c]\ndatabase=index\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\npolicy=p\ncopy_extensions=copy\n"
                    "unique_subject=no\n[p]\ncommonName=supplied\n")
        when = ("-startdate", "20200101000000Z", "-enddate", "20200201000000Z") if expired else ("-days", "20")
        self._openssl("ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", self.name + ".crt", "-keyfile", self.name + ".key", *when, "-in", name + ".csr", "-out", name + ".crt")
        return os.path.join(self.folder, name + ".crt"), os.path.join(self.folder, name + ".key")


class Front(TcpListener):
    """TLS on a port of 127.0.0.1 before a server's socket.  What the server says goes out in records as large as they can be, 16 KiB: so do PostgreSQL
    from version 17 on, and others in its place; PostgreSQL 15 makes records of 8 KiB."""

    def __init__(self, socket_path, cert, key):
        super().__init__()
        self.target, self.context = socket_path, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)

    def serve(self, client):
        server = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError):
            server.connect(self.target)
            first = client.recv(8, socket.MSG_WAITALL)
            if first == SSL_REQUEST:
                client.sendall(b"S")
                client = self.context.wrap_socket(client, server_side=True)
            else:
                server.sendall(first)  # a request to cancel comes without TLS
            back = threading.Thread(target=self.answers, args=(server, client), daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                while data := client.recv(1 << 16):
                    server.sendall(data)
            end(server)
            back.join()
        client.close()
        server.close()

    def answers(self, server, client):
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                while select.select([server], [], [], 0.002)[0] and len(data) < 1 << 20 and (more := server.recv(1 << 16)):
                    data += more
                client.sendall(data)
        end(client)

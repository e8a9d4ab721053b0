"""Whoever takes connections in a server's place: one thread that accepts, one for each client."""
import contextlib
import socket
import threading


def end(peer):
    with contextlib.suppress(OSError):
        peer.shutdown(socket.SHUT_RDWR)


class Listener(threading.Thread):
    """serve(client) is for the heir, who closes the client."""

    def __init__(self, listener):
        super().__init__(daemon=True)
        self.listener = listener

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def close(self):
        end(self.listener)
        self.listener.close()


class TcpListener(Listener):
    """On a free port of 127.0.0.1."""

    def __init__(self):
        super().__init__(socket.create_server(("127.0.0.1", 0)))
        self.port = self.listener.getsockname()[1]

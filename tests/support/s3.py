"""A store that speaks S3 as far as the mirror needs it, on a port of 127.0.0.1, and fails as told.

    s3 = S3(folder).start()             # s3.endpoint, s3.credentials(path)
    s3.fault("PUT", "bundles/", "500")  # every such request; times=2: only the first two
    s3.objects()                        # {key: bytes} of the bucket
    s3.stop()

Signatures (AWS signature 4), payload sums and clocks are checked for real: what a client does not sign, or does not send as it signed it, is refused.
Objects are files in `folder`, named by the sum of their keys.
"""
import base64
import collections
import datetime
import email.utils
import hashlib
import hmac
import http.server
import os
import socket
import socketserver
import ssl
import threading
import time
import urllib.parse
import xml.sax.saxutils

ID, SECRET, REGION, BUCKET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "eu-central-1", "chat-archive"
PAGE = 7  # keys of one answer to a list
SKEW_S = 900
NOTHING = hashlib.sha256(b"").hexdigest()
Request = collections.namedtuple("Request", "method key status")


def sign(secret, day, region, text):
    key = ("AWS4" + secret).encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def canonical_query(query):
    pairs = sorted((urllib.parse.quote(k, safe="-_.~"), urllib.parse.quote(v, safe="-_.~")) for k, v in urllib.parse.parse_qsl(query, keep_blank_values=True))
    return "&".join(f"{k}={v}" for k, v in pairs)


class Refused(Exception):
    def __init__(self, status, code):
        super().__init__(code)
        self.status, self.code = status, code


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store = None  # of the heir

    def log_message(self, *_):
        pass

    # ---- answers ----
    def answer(self, status, body=b"", headers=(), length=None):
        if self.then:
            self.then("after")
        self.store.log.append(Request(self.command, self.key, status))
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def error(self, status, code):
        # as real stores do, with what a client must not repeat
        body = f"<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>{self.headers.get('Authorization', '')}</Message></Error>".encode()
        self.answer(status, body, [("Content-Type", "application/xml")])

    def date_time_string(self, timestamp=None):
        return super().date_time_string((timestamp or time.time()) + self.store.clock_s)

    # ---- what is asked ----
    def check_signature(self):
        words = dict(w.strip().split("=", 1) for w in self.headers.get("Authorization", "").removeprefix("AWS4-HMAC-SHA256 ").split(",") if "=" in w)
        try:
            ident, day, region, service, _ = words["Credential"].split("/")
            names, signature = words["SignedHeaders"].split(";"), words["Signature"]
        except (KeyError, ValueError):
            raise Refused(403, "AccessDenied") from None
        if ident != ID:
            raise Refused(403, "InvalidAccessKeyId")
        if region != REGION or service != "s3":
            raise Refused(400, "AuthorizationHeaderMalformed")
        missing = {n.lower() for n in self.headers if n.lower().startswith("x-amz-")} - set(names)
        if "host" not in names or names != sorted(names) or missing:
            raise Refused(403, "AccessDenied")
        path, _, query = self.path.partition("?")
        lines = [self.command, urllib.parse.quote(urllib.parse.unquote(path), safe="/-_.~"), canonical_query(query)]
        lines += [f"{n}:{' '.join(self.headers.get(n, '').split())}" for n in names] + ["", ";".join(names), self.headers.get("x-amz-content-sha256", "")]
        stamp = self.headers.get("x-amz-date", "")
        text = "\n".join(["AWS4-HMAC-SHA256", stamp, f"{day}/{region}/s3/aws4_request", hashlib.sha256("\n".join(lines).encode()).hexdigest()])
        if not hmac.compare_digest(sign(SECRET, day, region, text), signature):
            raise Refused(403, "SignatureDoesNotMatch")
        at = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()
        if abs(at - time.time() - self.store.clock_s) > SKEW_S:
            raise Refused(403, "RequestTimeTooSkewed")

    def check_body(self, body):
        signed, sum64 = self.headers.get("x-amz-content-sha256"), self.headers.get("x-amz-checksum-sha256")
        if hashlib.sha256(body).hexdigest() != signed:
            raise Refused(400, "XAmzContentSHA256Mismatch")
        if sum64 is not None and base64.b64encode(hashlib.sha256(body).digest()).decode() != sum64:
            raise Refused(400, "BadDigest")

    def handle_one(self):
        self.key = urllib.parse.unquote(self.path.partition("?")[0]).removeprefix(f"/{BUCKET}/")
        action = self.store.action(self.command, self.key)
        self.then = None
        length = int(self.headers.get("Content-Length", 0))
        if action == "cut" and self.command == "PUT":
            self.rfile.read(length // 2)
            self.close_connection = True
            return
        body = self.rfile.read(length) if length else b""
        try:
            self.check_signature()
            self.check_body(body)
            if self.path.partition("?")[0].split("/")[1] != BUCKET:
                raise Refused(404, "NoSuchBucket")
            if callable(action):
                action("before")
                self.then = action
            self.obey(action, body)
        except Refused as why:
            self.error(why.status, why.code)

    do_GET = do_HEAD = do_PUT = do_DELETE = handle_one

    def obey(self, action, body):
        words = {"403": "AccessDenied", "404": "NoSuchBucket", "500": "InternalError", "503": "SlowDown"}
        if action in words:
            raise Refused(int(action), words[action])
        if action == "slow":
            time.sleep(self.store.slow_s)
            self.close_connection = True
            return
        if action == "elsewhere":
            self.answer(307, headers=[("Location", f"{self.store.endpoint}/{BUCKET}/elsewhere")])
            return
        if action in ("204", "206") and self.command == "GET":
            self.answer(int(action), b"" if action == "204" else b"a part", length=0 if action == "204" else None)
            return
        if action == "200 error":
            self.answer(200, b"<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code></Error>")
            return
        if self.command == "PUT":
            self.put(action, body)
        elif self.command == "DELETE":
            if action != "lost":
                self.store.drop(self.key)
            self.answer(204, headers=self.versions() + ([("x-amz-version-id", "null"), ("x-amz-delete-marker", "true")] if self.store.suspended else []))
        elif self.command == "GET" and "list-type=2" in self.path:
            self.list(action)
        else:
            self.get(action)

    def versions(self):
        return [("x-amz-version-id", "3sL4kqtJlcpXroDTDmJ")] if self.store.versioned else []

    def put(self, action, body):
        if action != "swallow":
            self.store.write(self.key, body)
        self.answer(200, headers=self.versions())

    def get(self, action):
        body = self.store.read(self.key)
        if body is None:
            raise Refused(404, "NoSuchKey")
        headers = [("ETag", self.store.etag or f'"{hashlib.md5(body).hexdigest()}"'), ("Last-Modified", self.store.modified(self.key))]
        if self.headers.get("x-amz-checksum-mode") == "ENABLED" and self.store.sums:
            right = hashlib.sha256(body if action != "wrong sum" else body + b"!").digest()
            headers += [("x-amz-checksum-sha256", base64.b64encode(right).decode())]
        if action == "cut" and self.command == "GET":
            self.answer(200, body[:len(body) // 2], headers, len(body))
            self.close_connection = True
        else:
            self.answer(200, body if self.command == "GET" else b"", headers, len(body))

    def list(self, action):
        asked = dict(urllib.parse.parse_qsl(self.path.partition("?")[2], keep_blank_values=True))
        keys = sorted(k for k in self.store.objects() if k.startswith(asked.get("prefix", "")) and k > asked.get("continuation-token", ""))
        self.key = "?" + asked.get("prefix", "")
        text = "".join(f"<Contents><Key>{xml.sax.saxutils.escape(k)}</Key><Size>{len(self.store.read(k))}</Size></Contents>" for k in keys[:PAGE])
        if action == "same token":
            text += f"<IsTruncated>true</IsTruncated><NextContinuationToken>{asked.get('prefix', '')}</NextContinuationToken>"
        elif action == "no token":
            text += "<IsTruncated>true</IsTruncated>"
        elif len(keys) > PAGE:
            text += f"<IsTruncated>true</IsTruncated><NextContinuationToken>{xml.sax.saxutils.escape(keys[PAGE - 1])}</NextContinuationToken>"
        self.answer(200, f'<?xml version="1.0"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{text}</ListBucketResult>'.encode())


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads, allow_reuse_address = True, True

    def handle_error(self, *_):  # a client that was killed
        pass


class Server6(Server):
    address_family = socket.AF_INET6


class S3:
    def __init__(self, folder, certificate=None, host="127.0.0.1"):
        self.folder, self.lock = folder, threading.Lock()
        os.makedirs(folder, exist_ok=True)
        self.log, self.faults = [], []
        self.sums, self.versioned, self.suspended, self.clock_s, self.slow_s, self.etag = True, False, False, 0, 4, None
        self.server = (Server6 if ":" in host else Server)((host, 0), type("Bound", (Handler,), {"store": self}))
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.endpoint = f"http{'s' if certificate else ''}://{f'[{host}]' if ':' in host else host}:{self.server.server_port}"

    def start(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def credentials(self, path, ident=ID, secret=SECRET):
        with open(path, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as f:
            f.write(f"# keys of a test\n[other]\naws_access_key_id = x\n[default]\naws_access_key_id = {ident}\naws_secret_access_key={secret}\n")
        return path

    # ---- faults ----
    def fault(self, method, part, action, times=None):
        """A request of that method ("*": any) whose key holds `part`: a status, a word of Handler.obey, or a function called with "before" and "after" it was obeyed, before the answer."""
        self.faults.append([method, part, action, times])

    def heal(self):
        self.faults = []

    def action(self, method, key):
        with self.lock:
            for f in self.faults:
                if f[0] in ("*", method) and f[1] in key and f[3] != 0:
                    f[3] = f[3] and f[3] - 1
                    return f[2]
        return None

    # ---- objects ----
    def path(self, key):
        return os.path.join(self.folder, hashlib.sha256(key.encode()).hexdigest())

    def write(self, key, body):
        with self.lock:
            for end, data in ((".key", key.encode()), ("", body)):
                with open(self.path(key) + end + ".tmp", "wb") as f:
                    f.write(data)
                os.rename(self.path(key) + end + ".tmp", self.path(key) + end)

    def read(self, key):
        try:
            with open(self.path(key), "rb") as f:
                return f.read()
        except FileNotFoundError:
            return None

    def modified(self, key):
        return email.utils.formatdate(os.stat(self.path(key)).st_mtime, usegmt=True)

    def drop(self, key):
        with self.lock:
            for end in (".key", ""):
                if os.path.exists(self.path(key) + end):
                    os.unlink(self.path(key) + end)

    def objects(self, prefix=""):
        """{key: bytes}, keys without the prefix."""
        found = {}
        for name in os.listdir(self.folder):
            if name.endswith(".key"):
                with open(os.path.join(self.folder, name), encoding="utf-8") as f:
                    key = f.read()
                body = self.read(key)
                if body is not None and key.startswith(prefix):
                    found[key.removeprefix(prefix)] = body
        return found

"""A receiver for replyd's webhooks in Python 3.9 or newer, with nothing but the standard library.

    REPLYD_CRM_SECRET=whsec_... PORT=8000 python3 receiver.py
"""

import base64
import hmac
import http.server
import os
import sys
import threading
import time

KEY = base64.b64decode(os.environ["REPLYD_CRM_SECRET"].removeprefix("whsec_"), validate=True)
PORT = int(os.environ.get("PORT", "8000"))
BODY_MAX = 1024 * 1024
SEEN, LOCK = set(), threading.Lock()  # in earnest: a table with a unique key on the id
if len(KEY) < 24:  # with an empty key anybody can sign
    sys.exit("REPLYD_CRM_SECRET is not whsec_ and base64")


def take(body):
    """Your own work, done once for each webhook. What it raises makes the webhook come again."""
    sys.stdout.buffer.write(body + b"\n")
    sys.stdout.buffer.flush()


def holds(headers, body):
    """Whether the signature is ours, over these raw bytes, and no more than five minutes old."""
    id, sent = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not (id and sent.isascii() and sent.isdigit() and len(sent) <= 12):
        return False
    mine = b"v1," + base64.b64encode(hmac.digest(KEY, f"{id}.{sent}.".encode() + body, "sha256"))
    theirs = headers.get("webhook-signature", "").encode().split(b" ")
    is_ours = any([hmac.compare_digest(mine, one) for one in theirs])  # in constant time
    return is_ours and abs(time.time() - int(sent)) <= 300


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_POST(self):
        length = self.headers.get("content-length", "")
        if not length.isdigit() or int(length) > BODY_MAX:
            self.close_connection = True
            return self.answer(413)
        body = self.rfile.read(int(length))
        if not holds(self.headers, body):
            return self.answer(401)
        id = self.headers["webhook-id"]
        with LOCK:
            if id not in SEEN:  # deliveries are at least once: the id is the reply's own, for ever
                take(body)
                SEEN.add(id)
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


print(f"listening on http://127.0.0.1:{PORT}/", file=sys.stderr)
http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Receiver).serve_forever()

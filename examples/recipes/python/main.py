"""An API that returns the user of a request's token.

DOORWARD_URL names the server; JWT_SECRET is set if tokens are signed with it, DOORWARD_FEED_SECRET to learn of logouts.
PORT is where it listens, on this machine alone.
"""

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt

from guard import Guard, Revocations, Unavailable, refusal

url, feed_secret = os.environ["DOORWARD_URL"], os.environ.get("DOORWARD_FEED_SECRET")
revocations = Revocations(url, feed_secret) if feed_secret else None
if revocations:
    threading.Thread(target=revocations.follow, daemon=True).start()
guard = Guard(url, os.environ.get("JWT_SECRET"), revocations=revocations)


class Api(BaseHTTPRequestHandler):
    def do_GET(self):
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return self.answer("no token", *refusal())
        try:
            claims = guard.check(token)
        except (jwt.PyJWTError, Unavailable) as error:
            return self.answer(str(error), *refusal(error))
        self.answer(f"{claims['sub']} {claims['role']}", 200, {})

    def answer(self, text, status, headers):
        body = text.encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "text/plain", "Content-Length": len(body)}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "3000"))), Api)
print(f"Listening on http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()

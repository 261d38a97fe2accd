"""Reads one token a line, and says for each whose it is, or why it is refused.

DOORWARD_URL names the server; JWT_SECRET is set where tokens are signed with it, DOORWARD_FEED_SECRET to learn of logouts.
"""

import os
import sys
import threading

import jwt

from guard import Guard, Revocations, Unavailable

url, feed_secret = os.environ["DOORWARD_URL"], os.environ.get("DOORWARD_FEED_SECRET")
revocations = Revocations(url, feed_secret) if feed_secret else None
if revocations:
    threading.Thread(target=revocations.follow, daemon=True).start()
guard = Guard(url, os.environ.get("JWT_SECRET"), revocations=revocations)

for line in sys.stdin:
    try:
        claims = guard.check(line.strip())
        print("ok", claims["sub"], claims["role"], flush=True)
    except (jwt.PyJWTError, Unavailable) as error:
        print("refused:", error, flush=True)

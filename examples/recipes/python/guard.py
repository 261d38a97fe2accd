"""Checks Doorward's access tokens in Python. Needs PyJWT: pip install 'PyJWT[crypto]'"""

import json
import logging
import threading
import time
import urllib.parse
import urllib.request

import jwt

REQUIRED = ["iss", "aud", "sub", "sid", "role", "jti", "iat", "exp"]


class Guard:
    """Checks tokens by the published keys of the Doorward at `url`, or by the `secret` that it shares (JWT_SECRET)."""

    def __init__(self, url=None, secret=None, issuer="doorward", audience="doorward", revocations=None):
        self.url, self.secret, self.revocations = url, secret, revocations
        self.names = {"issuer": issuer, "audience": audience}
        self.keys, self.loaded_at, self.good_until = {}, -1000.0, 0.0
        self.lock = threading.Lock()

    def check(self, token):
        """The claims of a good token: user id `sub`, session id `sid`, `role`. Raises jwt.PyJWTError for any other."""
        header = jwt.get_unverified_header(token)
        if header.get("typ") != "at+jwt":  # no other kind of JWT is accepted
            raise jwt.InvalidTokenError("not an access token")
        key, algorithm = (self.secret, "HS256") if self.secret else self.key(header.get("kid"))
        options = {"require": REQUIRED, "verify_iat": False}  # a clock one second behind must not refuse a new token
        claims = jwt.decode(token, key, algorithms=[algorithm], options=options, **self.names)
        if self.revocations:
            self.revocations.check(claims)
        return claims

    def key(self, kid):
        """The published key with this id. Keys are fetched after 5 minutes and for an unknown id, once in 10 seconds: a
        flood of invented ids costs nothing. If a fetch fails, they are good for two more minutes."""
        with self.lock:
            now = time.monotonic()
            if (now > self.good_until - 120 or kid not in self.keys) and now > self.loaded_at + 10:
                self.loaded_at = now
                try:
                    with urllib.request.urlopen(self.url + "/.well-known/jwks.json", timeout=5) as answer:
                        published = jwt.PyJWKSet.from_dict(json.load(answer)).keys
                    self.keys = {key.key_id: key for key in published}
                    self.good_until = now + 420
                except (OSError, ValueError) as error:
                    logging.warning("keys: %s; going on with those from before", error)
            if now > self.good_until:
                raise Unavailable("no keys to check with")
            found = self.keys.get(kid)
        if not found:
            raise jwt.InvalidTokenError("unknown key")
        return found.key, found.algorithm_name  # the key decides the algorithm, never the token


class Revocations:
    """The ended sessions and stale tokens of the Doorward at `url`, read with its feed secret (DOORWARD_FEED_SECRET)."""

    def __init__(self, url, feed_secret, every=1.0, stale_after=120.0):
        self.url, self.secret, self.every, self.stale_after = url, feed_secret, every, stale_after
        self.sessions, self.users, self.position, self.current_at, self.missing_until = {}, {}, "", -1000.0, 0.0

    def follow(self):
        """Polls forever; run it in a thread: threading.Thread(target=it.follow, daemon=True).start()"""
        while True:
            try:
                while self.ask():
                    pass
            except (OSError, ValueError, TypeError, KeyError) as error:
                logging.warning("revocations: %s; trying again", error)
            time.sleep(self.every)

    def ask(self):
        """Reads one page of what is new; returns whether there is more."""
        query = urllib.parse.urlencode({"after": self.position, "limit": 1000} if self.position else {"limit": 1000})
        headers = {"Authorization": f"Bearer {self.secret}", "Accept": "application/json"}
        request = urllib.request.Request(f"{self.url}/revocations?{query}", headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return self.take(json.load(answer))

    def take(self, page):
        """Each entry is kept for its seconds from now; the later end and the greater version count."""
        now = time.monotonic()
        for session, seconds, *_ in page["sessions"]:
            self.sessions[session] = max(self.sessions.get(session, 0.0), now + seconds)
        for user, version, seconds, *_ in page["users"]:
            known = self.users.get(user, (0, 0.0))
            self.users[user] = max(known[0], version), max(known[1], now + seconds)
        self.missing_until = max(self.missing_until, now + page.get("missing", 0))
        self.position = page["position"]
        if not page["more"]:
            self.current_at = now
            self.sessions = {session: until for session, until in self.sessions.items() if until > now}
            self.users = {user: least for user, least in self.users.items() if least[1] > now}
        return page["more"]

    def check(self, claims):
        """Refuses ended sessions and stale tokens; and everything if polling failed for too long: answer that with 503."""
        if time.monotonic() - self.current_at > self.stale_after:
            raise Unavailable("the revocations are out of date")
        if claims["sid"] in self.sessions:
            raise jwt.InvalidTokenError("session ended")
        if claims.get("ver", 0) < self.users.get(claims["sub"], (0,))[0]:
            raise jwt.InvalidTokenError("token stale: refresh it")
        if time.monotonic() + claims["exp"] - time.time() < self.missing_until:
            raise Unavailable("the server lacks entries that may concern this token")


class Unavailable(Exception):
    """The check cannot be made at the moment. The token may be good: the client keeps it."""


def refusal(error=None):
    """Status and headers of the answer to a request that `check` refused, or to one that has no token."""
    if isinstance(error, Unavailable):
        return 503, {"Retry-After": "1"}
    challenge = 'Bearer error="invalid_token"' if error else "Bearer"  # the first one makes clients refresh
    return 401, {"WWW-Authenticate": challenge, "Access-Control-Expose-Headers": "WWW-Authenticate"}

"""Holds Doorward's tokens against PyJWT: it must read ours, and Doorward must judge what it makes.

Usage: pyjwt.py, with the program in DOORWARD (target/debug/doorward where that is not set).
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

PROGRAM = os.environ.get("DOORWARD", "target/debug/doorward")
SECRET = "for PyJWT and Doorward alone, and long enough for HS512: 7f3a91c05be2d846"
NAME = "doorward"  # both issuer and audience
verdicts = []


def main():
    shared_secret()
    key_pair("ES256", lambda: ec.generate_private_key(ec.SECP256R1()))
    key_pair("EdDSA", ed25519.Ed25519PrivateKey.generate)
    key_pair("RS256", lambda: rsa.generate_private_key(65537, 2048))
    print(f"\n{sum(verdicts)} passed, {len(verdicts) - sum(verdicts)} failed")
    sys.exit(not all(verdicts))


def shared_secret():
    print("\nPyJWT and HS256, by a shared secret")
    with serving(JWT_SECRET=SECRET) as server:
        check("publishes no key", server.send("/.well-known/jwks.json") == (200, {"keys": []}))
        claims = reads(server, "HS256", SECRET)
        now = int(time.time())

        def minted(secret=SECRET, algorithm="HS256", header=None, **changes):
            return forge({**claims, **changes}, secret, algorithm, {**server.header, **(header or {})})

        server.accepts("its token", jwt.encode(claims, SECRET, "HS256", without_alg(server.header)))
        server.accepts("one of a minute ago", minted(iat=now - 60, exp=now + 60))
        server.accepts("one with a claim more", minted(colour="green"))
        server.refuses("another secret", minted(SECRET.upper()))
        server.refuses("alg none", minted(None, "none"))
        for algorithm in "HS384", "HS512":
            server.refuses(algorithm, minted(algorithm=algorithm))
        server.refuses("another typ", minted(header={"typ": "JWT"}))
        server.refuses("another kid", minted(header={"kid": "another"}))
        server.refuses("an expired one", minted(iat=now - 1000, exp=now - 100), "token_expired")
        server.refuses("one that begins tomorrow", minted(nbf=now + 86_400))
        server.refuses("one from tomorrow", minted(iat=now + 86_400, exp=now + 86_500))
        may_lack = {"ver", "auth_time", "amr"}
        for name in may_lack:
            server.accepts(f"one without {name}", minted(**{name: None}))
        for name in claims.keys() - may_lack:
            server.refuses(f"one without {name}", minted(**{name: None}))
        for value in "0", -1, 0.5, True, [], {}, 2**53, 1e300:
            server.refuses(f"ver {value!r}", minted(ver=value))
        for value in "0", -1, 0.5, True, [], {}, 1e300:
            server.refuses(f"auth_time {value!r}", minted(auth_time=value))
        for value in "pwd", 1, True, {}, [1], [None], [["pwd"]]:
            server.refuses(f"amr {value!r}", minted(amr=value))
        for name in "iss", "aud":
            for value in "other", NAME.upper(), NAME + "/", "", [NAME], ["other"], []:
                server.refuses(f"{name} {value!r}", minted(**{name: value}))
        for value in str(claims["exp"]), -1, 0.5, True, [], {}, claims["exp"] + 10**6, 2**63, 1e300:
            server.refuses(f"exp {value!r}", minted(exp=value))


def key_pair(algorithm, generate):
    print(f"\nPyJWT and {algorithm}, by the published key")
    with serving(DOORWARD_ACCESS_ALGORITHM=algorithm) as server:
        published = server.send("/.well-known/jwks.json")[1]["keys"]
        kids = {key["kid"] for key in published}
        check("publishes no private part", not {"d", "p", "q", "k"} & set().union(*published))
        check("lists its keys on the command line", all(kid in server.run("key", "list").stdout for kid in kids))
        claims = reads(server, algorithm, jwt.PyJWKSet.from_dict({"keys": published})[server.header["kid"]])
        server.accepts("our own token", server.token)
        server.refuses("another key under our kid", forge(claims, generate(), algorithm, server.header))
        server.refuses("alg none", forge(claims, None, "none", server.header))
        for key in published:  # of it what PyJWT takes for a secret: it knows a PEM or a JWK when it sees one
            part = key.get("x") or key["n"]
            server.refuses("the public key as a secret", forge(claims, part, "HS256", server.header))


def reads(server, algorithm, key):
    """Checks that PyJWT accepts our token, and only unaltered; gives its claims."""
    need = {"require": ["exp", "iat", "iss", "aud", "sub"]}
    strict = {"algorithms": [algorithm], "audience": NAME, "issuer": NAME, "options": need}
    claims = jwt.decode(server.token, key, **strict)
    check("PyJWT accepts our token", claims["sub"] == server.user["id"])
    check("its header says what it is", (server.header["typ"], server.header["alg"]) == ("at+jwt", algorithm))
    try:
        jwt.decode(forge({**claims, "role": "admin"}, server.token, None, server.header), key, **strict)
        check("PyJWT refuses it when altered", False)
    except jwt.InvalidSignatureError:
        check("PyJWT refuses it when altered", True)
    return claims


def forge(claims, key, algorithm, header):
    """A token of any claims, signed by PyJWT; without an algorithm, under the signature of the token `key`."""
    payload = json.dumps({name: value for name, value in claims.items() if value is not None}).encode()
    if algorithm:
        return jwt.PyJWS().encode(payload, key, algorithm, without_alg(header))
    first, _, signature = key.split(".")
    return ".".join([first, jwt.utils.base64url_encode(payload).decode(), signature])


def without_alg(header):
    return {name: value for name, value in header.items() if name != "alg"}


def check(what, holds):
    verdicts.append(bool(holds))
    print("ok    " if holds else "FAILED", what)


class Server:
    """A running server with one user, and the token of her sign-in."""

    def __init__(self, url, data, env):
        self.url, self.data, self.env = url, data, env
        user = {"name": "Ada", "email": "ada@example.org", "password": "correct horse battery"}
        answer = self.send("/register", user)[1]
        self.user, self.token = answer["user"], answer["token"]
        self.header = jwt.get_unverified_header(self.token)

    def send(self, path, body=None, token=None):
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        body = json.dumps(body).encode() if body else None
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path, body, headers)) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refusal:
            return refusal.code, json.load(refusal)

    def run(self, *command):
        command = [PROGRAM, *command, "--data", self.data]
        return subprocess.run(command, env=self.env, capture_output=True, text=True)

    def accepts(self, what, token):
        status, body = self.send("/profile", token=token)
        check(f"accepts {what}", status == 200 and body["user"]["id"] == self.user["id"])
        check(f"accepts {what} (command line)", self.run("token", "verify", token).returncode == 0)

    def refuses(self, what, token, code="token_invalid"):
        status, body = self.send("/profile", token=token)
        check(f"refuses {what}", (status, body.get("code")) == (401, code))
        check(f"refuses {what} (command line)", self.run("token", "verify", token).returncode != 0)


@contextlib.contextmanager
def serving(*, dev=True, **settings):
    """Runs a server with these settings and no others; without `dev` as in production."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("DOORWARD", "JWT_"))}
    env.update(settings)
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/output", "w") as output:
        command = [PROGRAM, "serve", "--listen", "127.0.0.1:0", "--data", f"{folder}/data", *["--dev"][:dev]]
        process = subprocess.Popen(command, env=env, stdout=output, stderr=output)
        try:
            server = Server(address(process, output.name), f"{folder}/data", env)
            server.process = process.pid
            yield server
        finally:
            process.terminate()
            process.wait()


def address(process, output):
    """The first URL on the server's output."""
    for _ in range(300):
        with open(output) as text:
            if url := re.search(r"http://[\d.]+:\d+", text.read()):
                return url[0]
        if process.poll() is not None:
            break
        time.sleep(0.1)
    with open(output) as text:
        sys.exit(f"the server did not start: {text.read()}")


if __name__ == "__main__":
    main()

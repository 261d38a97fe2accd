"""Runs the recipes of docs/guides in other languages against a real server: each accepts what it must, and refuses the rest.

Usage: recipes.py python | go | java, with the program in DOORWARD, as tests/oracles/pyjwt.py, which this builds on.
"""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/oracles"), str(ROOT / "examples/recipes/python")]
from pyjwt import NAME, SECRET, check, forge, serving, verdicts, without_alg  # noqa: E402

RECIPES = ROOT / "examples/recipes"
FEED_SECRET = "for the recipes' feed alone: 4be1c0a97d25f386"
LANGUAGES = {
    "python": (["guard.py"], lambda: [sys.executable, "main.py"]),
    "go": (["guard.go"], lambda: build_go()),
    "java": (["Guard.java"], lambda: build_java()),
}


def main():
    language = sys.argv[1]
    files, build = LANGUAGES[language]
    for name in files:
        page = (ROOT / f"docs/guides/{language}.md").read_text()
        check(f"the guide shows {name} as it is", (RECIPES / language / name).read_text().strip() in page)
    command = build()
    by_secret(language, command)
    by_published_keys(language, command)
    if language == "python":
        learns_of_logouts(command)
        begins_anew()
        refuses_what_the_server_may_lack()
        takes_the_feeds_of_the_table()
        keeps_keys_for_a_while()
    print(f"\n{sum(verdicts)} passed, {len(verdicts) - sum(verdicts)} failed")
    sys.exit(not all(verdicts))


def build_go():
    program = ROOT / "target/recipes/go-recipe"
    subprocess.run(["go", "build", "-o", program, "."], cwd=RECIPES / "go", check=True)
    return [str(program)]


def build_java():
    libraries, classes = ROOT / "target/recipes/java/lib", ROOT / "target/recipes/java/classes"
    javac = ["javac", "-Xlint:all", "-Werror", "-cp", f"{libraries}/*", "-d", classes, "Guard.java"]
    subprocess.run(javac, cwd=RECIPES / "java", check=True)
    return ["java", "-cp", f"{libraries}/*:{classes}", "Guard"]


class Recipe:
    """A recipe's API, which is asked with one token after the other."""

    def __init__(self, language, command, **variables):
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("DOORWARD", "JWT_"))}
        env = clean | variables | {"PORT": "0"}
        self.process = subprocess.Popen(command, cwd=RECIPES / language, env=env, stdout=subprocess.PIPE, text=True)
        self.url = re.search(r"http://\S+", self.process.stdout.readline())[0]

    def asks(self, token=None):
        """Status, headers and text of the answer."""
        request = urllib.request.Request(self.url, headers={} if token is None else {"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.headers, refusal.read().decode().strip()

    def accepts(self, what, token, user):
        status, _, text = self.asks(token)
        check(f"accepts {what}: {text}", (status, text) == (200, f"{user['id']} {user['role']}"))

    def refuses(self, what, token=None, challenge='Bearer error="invalid_token"'):
        """In the words upon which clients refresh, and so that pages of other origins may read them."""
        status, headers, text = self.asks(token)
        said = headers["WWW-Authenticate"], headers["Access-Control-Expose-Headers"]
        check(f"refuses {what}: {text}", (status, *said) == (401, challenge, "WWW-Authenticate"))

    def cannot_tell(self, what, token):
        status, headers, text = self.asks(token)
        check(f"{what}: {text}", (status, headers["Retry-After"], headers["WWW-Authenticate"]) == (503, "1", None))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=30)
        self.process.stdout.close()


def by_secret(language, command):
    print(f"\nThe recipe for {language}, by a shared secret")
    with serving(JWT_SECRET=SECRET) as server, Recipe(
        language, command, JWT_SECRET=SECRET, DOORWARD_URL=server.url
    ) as recipe:
        claims = jwt.decode(server.token, SECRET, ["HS256"], audience=NAME, issuer=NAME)
        now = int(time.time())

        def minted(secret=SECRET, algorithm="HS256", header=None, **changes):
            return forge({**claims, **changes}, secret, algorithm, {**server.header, **(header or {})})

        recipe.accepts("the server's token", server.token, server.user)
        recipe.accepts("one with claims of an application", minted(app={"plan": "gold"}), server.user)
        recipe.refuses("another secret", minted(SECRET.upper()))
        recipe.refuses("alg none", jwt.encode(claims, None, "none", without_alg(server.header)))
        recipe.refuses("HS512", minted(algorithm="HS512"))
        recipe.refuses("the assertion of a proxy", minted(header={"typ": "doorward-identity+jwt"}, aud="app.example.com"))
        recipe.refuses("another typ", minted(header={"typ": "JWT"}))
        recipe.refuses("one that has run out", minted(iat=now - 1000, exp=now - 1))
        recipe.refuses("one that begins tomorrow", minted(nbf=now + 86_400))
        recipe.refuses("an altered one", forge({**claims, "role": "admin"}, server.token, None, server.header))
        for name in "iss", "aud":
            recipe.refuses(f"another {name}", minted(**{name: "other"}))
        recipe.accepts("one without ver", minted(ver=None), server.user)
        for name in claims.keys() - {"jti", "ver", "auth_time", "amr"}:
            recipe.refuses(f"one without {name}", minted(**{name: None}))
        recipe.refuses("a request without a token", challenge="Bearer")
        for junk in "", "a.b.c", "..", server.token + "x", server.token.replace(".", ""):
            recipe.refuses(f"{junk[:9]!r}", junk)


def by_published_keys(language, command):
    print(f"\nThe recipe for {language}, by the published keys")
    with serving() as server, serving() as other, Recipe(language, command, DOORWARD_URL=server.url) as recipe:
        published = server.send("/.well-known/jwks.json")[1]["keys"][0]
        claims = jwt.decode(server.token, options={"verify_signature": False})
        recipe.accepts("the server's token", server.token, server.user)
        recipe.refuses("another server's", other.token)
        recipe.refuses("alg none", jwt.encode(claims, None, "none", without_alg(server.header)))
        recipe.refuses("the public key as a secret", forge(claims, published["x"], "HS256", server.header))
        recipe.refuses("an altered one", forge({**claims, "role": "admin"}, server.token, None, server.header))
        recipe.accepts("the server's token again", server.token, server.user)
    with serving() as server, Recipe(language, command, DOORWARD_URL="http://127.0.0.1:1") as recipe:
        recipe.cannot_tell("leaves open what it has no keys for", server.token)


def learns_of_logouts(command):
    print("\nThe recipe for python learns of logouts from the feed")
    with serving(DOORWARD_FEED_SECRET=FEED_SECRET) as server:
        variables = {"DOORWARD_URL": server.url, "DOORWARD_FEED_SECRET": FEED_SECRET}
        with Recipe("python", command, **variables) as recipe:
            status, _, text = until(lambda: recipe.asks(server.token), lambda answer: answer[0] == 200)
            check(f"accepts the server's token once it is up to date: {text}", status == 200)
            server.send("/logout", {"because": "of a test"}, server.token)
            status, _, text = until(lambda: recipe.asks(server.token), lambda answer: answer[0] == 401)
            check(f"refuses it after the logout: {text}", (status, text) == (401, "session ended"))
            recipe.refuses("it again", server.token)
            login = {"email": "ada@example.org", "password": "correct horse battery"}
            token = server.send("/login", login)[1]["token"]
            status, *_ = until(lambda: recipe.asks(token), lambda answer: answer[0] == 200)
            check("accepts the token of the next sign-in", status == 200)
            server.send("/logout/all", {"because": "of a test"}, token)
            status, _, text = until(lambda: recipe.asks(token), lambda answer: answer[0] == 401)
            check(f"refuses it after a logout everywhere: {text}", (status, text) == (401, "token stale: refresh it"))
        with Recipe("python", command, **variables | {"DOORWARD_FEED_SECRET": "wrong"}) as recipe:
            recipe.cannot_tell("leaves open what it cannot follow", server.token)


def begins_anew():
    print("\nThe recipe for python keeps what it knows when the server starts over")
    from guard import Revocations

    def page(version, position, reset, more=False):
        users = [["ada", version, 60]] if version else []
        return {"sessions": [], "users": users, "position": position, "more": more, "reset": reset}

    pages = [page(9, "a", True), page(1, "b", True, more=True), page(0, "c", False)]
    with answering(lambda: pages.pop(0)) as url:
        revocations = Revocations(url, "secret")
        known = []
        while pages:
            revocations.ask()
            known.append(revocations.users["ada"][0])
    check(f"keeps the greater version: {known}", known == [9, 9, 9])


def refuses_what_the_server_may_lack():
    print("\nThe recipe for python refuses what the server lacks entries for, and nothing else")
    from guard import Revocations, Unavailable

    revocations = Revocations("", "")
    revocations.take({"sessions": [["ended", 60]], "users": [], "missing": 60, "position": "a", "more": False})
    for session, left, expected in ("other", 30, Unavailable), ("other", 90, None), ("ended", 30, jwt.InvalidTokenError):
        found = None
        try:
            revocations.check({"sid": session, "sub": "ada", "exp": time.time() + left})
        except (Unavailable, jwt.InvalidTokenError) as error:
            found = type(error)
        check(f"a token of {session} with {left} s left: {found}", found == expected)


def takes_the_feeds_of_the_table():
    """A page for each event: those that can be read, since the recipe trusts its server to write no others."""
    print("\nThe recipe for python takes from a feed what the table of the guards says")
    from guard import Revocations

    table = json.loads((ROOT / "tests/verdicts/feed.json").read_text())
    tokens = {name: jwt.decode(token, options={"verify_signature": False}) for name, token in table["tokens"].items()}
    for row in table["rows"]:
        if row.get("unreadable"):
            continue
        revocations, resets = Revocations("", ""), True
        for event in ["event: current\ndata: {}", *row["stream"].replace("\r\n", "\n").split("\n\n")]:
            fields = [re.match("([a-z]*): ?(.*)", line) for line in event.split("\n")]
            kind = next((field[2] for field in fields if field and field[1] == "event"), None)
            data = "".join(field[2] for field in fields if field and field[1] == "data")
            resets = resets or kind == "reset"
            if kind in ("revoked", "current"):
                entries = json.loads(data) if kind == "revoked" else {}
                fixed = {"position": "", "more": kind == "revoked", "reset": resets}
                revocations.take({"sessions": [], "users": []} | entries | fixed)
                resets = False
        found = []
        for name in ("ada_5", "ada_7", "carol_0"):
            try:
                revocations.check(tokens[name])
                found.append("ok")
            except jwt.InvalidTokenError as error:
                found.append({"session ended": "session_ended"}.get(str(error), "token_stale"))
        check(f"{row['name']}: {found}", found == row["verdicts"])


def keeps_keys_for_a_while():
    print("\nThe recipe for python trusts keys no longer than two minutes after it should have fetched them")
    import guard

    with serving() as server:
        checks, clock = guard.Guard(server.url), guard.time.monotonic
        checks.check(server.token)
    try:
        for minutes, good in (6, True), (8, False):
            guard.time.monotonic = lambda: clock() + minutes * 60
            try:
                held = checks.check(server.token) and good
            except guard.Unavailable:
                held = not good
            check(f"after {minutes} minutes", held)
    finally:
        guard.time.monotonic = clock


@contextlib.contextmanager
def answering(answer):
    """A server that answers every request with this as JSON."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps(answer()).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def until(ask, holds):
    """Asks until the answer holds, for 20 seconds at most; gives the last answer."""
    end = time.monotonic() + 20
    while not holds(answer := ask()) and time.monotonic() < end:
        time.sleep(0.05)
    return answer


if __name__ == "__main__":
    main()

"""Every route and command with few users and with many: `./test --long growth`.

For each engine and size: a server makes the database, SQL fills it, and then each act is timed over HTTP, or as a process.
What is measured is CPU, of the server or process and of PostgreSQL together: other work on the machine hardly changes it. An
act has the 25th percentile of its runs. The table has the times per act, and their ratio per row that was answered; the run
fails if a ratio is over the limit.

    GROWTH_SIZES=1000,10000 GROWTH_ENGINES=sqlite python3 tests/growth/growth.py

With `--rows` each act is done once on a small database, and the run fails if a route or a command has no row.
"""

import base64
import hashlib
import http.client
import json
import os
import re
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DOORWARD = os.environ.get("DOORWARD", "target/debug/doorward")
IS_SHORT = "--rows" in sys.argv
SIZES = [int(size) for size in os.environ.get("GROWTH_SIZES", "1000" if IS_SHORT else "10000,1000000").split(",")]
ENGINES = os.environ.get("GROWTH_ENGINES", "sqlite" if IS_SHORT else "sqlite,postgres").split(",")
RUNS = min(15, int(os.environ.get("GROWTH_RUNS", "1" if IS_SHORT else "15")))
REFERENCE = Path(__file__).resolve().parents[2] / "docs/reference/cli.md"
LIMIT = 2.0
# Below this an act's time is the noise of the machine: milliseconds over HTTP, and of a process.
FLOOR, FLOOR_OF_PROCESS = 0.3, 15.0
PASSWORD = "a door is a promise"
ADMIN = "root@example.org"
DAY = 86_400_000_000
# Acts of which it is measured how many bytes PostgreSQL writes ahead.
WRITES = "register", "login", "refresh", "logout"
# Sessions per user, and how many of five are what: one lives, two ended within a day, two expired within a day.
SESSIONS, ENTRIES = 5, 2
# How many users a page of a search looks at.
LOOKS_AT = 10_000


def key(number):
    return hashlib.md5(str(number).encode()).hexdigest()


def name_of(number):
    return f"{key(number)[:6]} {key(number)[6:14]}"


def email_of(number):
    return f"{key(number)[14:20]}{number}@example.org"


def uuid7(millis, number, kind):
    digest = hashlib.md5(f"{kind}{number}".encode()).hexdigest()
    return bytes.fromhex(f"{millis:012x}7{digest[:3]}8{digest[3:18]}")


def cpu(processes):
    """Milliseconds of CPU that these processes have had, with all threads."""
    nanoseconds = 0
    for process in processes:
        for thread in Path(f"/proc/{process}/task").glob("*/schedstat"):
            try:
                nanoseconds += int(thread.read_text().split()[0])
            except (OSError, IndexError):
                pass
    return nanoseconds / 1e6


class Sqlite:
    name = "SQLite"

    def __init__(self, folder):
        self.folder = folder

    def arguments(self):
        return ["--data", str(self.folder)]

    def fill(self, size, now, password_hash):
        store = sqlite3.connect(self.folder / "doorward.db", isolation_level=None)
        store.create_function("uuid7", 3, lambda millis, number, kind: uuid7(millis, number, kind), deterministic=True)
        store.create_function("key", 1, key, deterministic=True)
        store.execute("PRAGMA synchronous = OFF")
        store.execute("PRAGMA cache_size = -262144")
        for statement in statements(size, now):
            store.execute("BEGIN")
            store.execute(of_sqlite(statement), {"hash": password_hash} if ":hash" in statement else {})
            store.execute("COMMIT")
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        store.close()

    def hash_of_admin(self):
        store = sqlite3.connect(self.folder / "doorward.db")
        found = store.execute("SELECT data FROM authenticators WHERE kind = 'password'").fetchone()[0]
        store.close()
        return found

    def processes(self):
        return []

    def ended(self):
        return 0

    def written(self):
        return 0

    def sizes(self):
        bytes_used = sum(path.stat().st_size for path in self.folder.glob("doorward.db*"))
        return [f"{bytes_used / 1e6:,.0f} MB"]

    def remove(self):
        pass


class Postgres:
    name = "PostgreSQL"

    def __init__(self, folder):
        self.folder = folder
        server = os.environ["DOORWARD_TEST_POSTGRES"]
        self.database = f"growth_{os.getpid()}_{int(time.time() * 1000)}"
        self.server = server
        self.url = server.replace("/postgres?", f"/{self.database}?")
        self.psql(f"CREATE DATABASE {self.database}", server)
        folder = self.psql("SHOW data_directory", server).strip()
        self.postmaster = int(Path(folder, "postmaster.pid").read_text().split()[0])

    def processes(self):
        children = Path(f"/proc/{self.postmaster}/task/{self.postmaster}/children").read_text()
        return [int(child) for child in children.split()]

    def ended(self):
        """Milliseconds of CPU of the server's processes that have ended, as those for a command do after it."""
        time.sleep(0.1)
        times = Path(f"/proc/{self.postmaster}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(times[13]) + int(times[14])) * 1000 / os.sysconf("SC_CLK_TCK")

    def written(self):
        """Bytes of the log that is written ahead."""
        return int(self.psql("SELECT pg_current_wal_insert_lsn() - '0/0'"))

    def sizes(self):
        """Bytes a row, of tables with many: of the partitions of one together."""
        found = self.psql("""SELECT COALESCE(p.relname, c.relname) || ': ' || CAST(sum(c.reltuples) AS BIGINT) || ' rows, '
            || CAST(sum(pg_table_size(c.oid)) / sum(c.reltuples) AS BIGINT) || ' + '
            || CAST(sum(pg_indexes_size(c.oid)) / sum(c.reltuples) AS BIGINT) || ' bytes a row and its indexes'
            FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent
            WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
            GROUP BY COALESCE(p.relname, c.relname) HAVING sum(c.reltuples) > 900 ORDER BY 1""")
        return found.splitlines()

    def psql(self, sql, url=None):
        run = subprocess.run(["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", url or self.url], input=sql, text=True, capture_output=True)
        if run.returncode:
            sys.exit(f"{run.stderr}\n{sql}")
        return run.stdout

    def arguments(self):
        return ["--data", str(self.folder), "--database", self.url]

    def fill(self, size, now, password_hash):
        self.psql("""CREATE FUNCTION key(number BIGINT) RETURNS TEXT LANGUAGE sql IMMUTABLE AS $$ SELECT md5(number::text) $$;
            CREATE FUNCTION uuid7(millis BIGINT, number BIGINT, kind TEXT) RETURNS BYTEA LANGUAGE sql IMMUTABLE AS $$
            SELECT decode(lpad(to_hex(millis), 12, '0') || '7' || substr(md5(kind || number), 1, 3) || '8'
            || substr(md5(kind || number), 4, 15), 'hex') $$""")
        for statement in statements(size, now):
            self.psql(of_postgres(statement).replace(":hash", "'" + password_hash + "'"))
        self.psql("VACUUM ANALYZE")

    def hash_of_admin(self):
        return self.psql("SELECT data FROM authenticators WHERE kind = 'password'").strip()

    def remove(self):
        self.psql(f"DROP DATABASE {self.database} WITH (FORCE)", self.server)


def of_sqlite(statement):
    most = re.search(r"series\((\w+)\)", statement)[1]
    series = f"WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {most})"
    return re.sub(r"INSERT INTO (.*?)\s+SELECT", rf"INSERT INTO \1 {series} SELECT", re.sub(r"series\(\w+\)", "series", statement), count=1, flags=re.S)


def of_postgres(statement):
    return re.sub(r"series\((\w+)\)", r"generate_series(1::bigint, \1) AS series(n)", statement)


def statements(size, now):
    """Users over two years; sessions and entries as in `SESSIONS` and `ENTRIES`. Times are microseconds."""
    begun = (now - 730 * DAY) // 1000
    user = f"uuid7({begun} + n * 730 * 86400000 / {size}, n, 'u')"
    owner = f"uuid7({begun} + (1 + n % {size}) * 730 * 86400000 / {size}, 1 + n % {size}, 'u')"
    # Made within the last day, so that neither kind is deleted while it is measured; those that live first.
    made = f"{now} - {DAY} * 3 / 4 + (n % 1000000) * 60000"
    logged = f"{now} - 89 * {DAY} + n * (88 * {DAY} / {size * ENTRIES})"
    yield f"""INSERT INTO users (id, name, name_folded, role, created_at, updated_at)
        SELECT {user}, substr(key(n), 1, 6) || ' ' || substr(key(n), 7, 8), substr(key(n), 1, 6) || ' ' || substr(key(n), 7, 8),
        'user', 1, 1 FROM series({size})"""
    yield f"""INSERT INTO emails (address, user_id, folded, is_primary)
        SELECT substr(key(n), 15, 6) || n || '@example.org', {user}, substr(key(n), 15, 6) || n || '@example.org', 1
        FROM series({size})"""
    yield f"""INSERT INTO authenticators (id, user_id, kind, identifier, data, created_at)
        SELECT {user}, {user}, 'password', {user}, :hash, 1 FROM series({size})"""
    yield f"""INSERT INTO sessions (id, user_id, mode, created_at, authenticated_at, amr, last_seen_at, expires_at,
        absolute_expires_at, ip, user_agent, salt, ended_at, end_reason, sweep_at)
        SELECT uuid7(({made}) / 1000, n, 's'), {owner}, 'bearer', {made}, {made}, 'pwd', {made},
        CASE WHEN n % 5 > 2 THEN {now} - {DAY} / 4 ELSE {now} + 30 * {DAY} END, {now} + 89 * {DAY}, '192.0.2.1', 'curl/8.5',
        uuid7(1, n, 'salt'), CASE WHEN n % 5 IN (1, 2) THEN {now} - {DAY} / 4 ELSE NULL END,
        CASE WHEN n % 5 IN (1, 2) THEN 'logout' ELSE NULL END, {now} + {DAY} FROM series({size * SESSIONS})"""
    yield f"""INSERT INTO audit (id, created_at, action, actor, user_id, ip)
        SELECT uuid7(({logged}) / 1000, n, 'a'), {logged}, 'login', 'owner', {owner}, '192.0.2.1' FROM series({size * ENTRIES})"""
    yield f"""INSERT INTO devices (hash, user_id, used_at)
        SELECT uuid7(1, n, 'd'), {user}, {now} - {DAY} FROM series({size})"""


class Server:
    def __init__(self, engine):
        self.engine = engine
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        arguments = ["serve", "--listen", f"127.0.0.1:{self.port}", "--no-throttle", "--set", "access.ttl=3h", *engine.arguments()]
        self.log = open(engine.folder / "log", "ab")
        self.process = subprocess.Popen([DOORWARD, *arguments], stdout=self.log, stderr=self.log, env=environment())
        while True:
            try:
                http.client.HTTPConnection("127.0.0.1", self.port).request("GET", "/healthz")
                break
            except OSError:
                if self.process.poll() is not None:
                    sys.exit((engine.folder / "log").read_text())
                time.sleep(0.005)
        self.started_in = cpu([self.process.pid])
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def call(self, method, path, body=None, token=None, good=(200, 201), form=None, more=None):
        headers = {"accept": "application/json", **(more or {})}
        if token:
            headers["authorization"] = f"Bearer {token}" if not token.startswith("Basic ") else token
        data = None
        if body is not None:
            data, headers["content-type"] = json.dumps(body), "application/json"
        if form is not None:
            data, headers["content-type"] = form, "application/x-www-form-urlencoded"
        processes = [self.process.pid, *self.engine.processes()]
        before = cpu(processes)
        self.connection.request(method, path, data, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        took = cpu(processes) - before
        self.cookies = [value.split(";")[0] for name, value in answer.getheaders() if name.lower() == "set-cookie"]
        if answer.status not in good:
            raise SystemExit(f"{method} {path}: {answer.status} {text[:300]!r}")
        return took, (json.loads(text) if text[:1] == b"{" else text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.log.close()


def environment():
    return {**os.environ, "DOORWARD_SECRET": "a root secret for growth: 0123456789", "RUST_BACKTRACE": "0"}


def command(engine, *arguments, stdin=None, good=(0,)):
    children = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) * 1000 + engine.ended()
    before = children()
    run = subprocess.run([DOORWARD, *arguments, *engine.arguments()], input=stdin, text=True, capture_output=True, env=environment())
    took = children() - before
    if run.returncode not in good:
        raise SystemExit(f"{arguments}: {run.returncode} {run.stderr}")
    return took, run.stdout


class Measured:
    """Acts by name: milliseconds of the 25th percentile, and rows."""

    def __init__(self):
        self.acts = {}
        self.called, self.missing, self.sizes = set(), [], []

    def note(self, name, times, rows, is_process=False):
        times.sort()
        self.acts[name] = (times[len(times) // 4], max(1, rows), is_process)


def rows_in(answer):
    lists = [value for value in answer.values() if isinstance(value, list)] if isinstance(answer, dict) else []
    return len(lists[0]) if lists else 1


def measure(server, size, now):
    measured, engine = Measured(), server.engine
    measured.note("start", [server.started_in], 1, True)

    def act(name, method, path, body=None, token=None, good=(200, 201), runs=RUNS, form=None, more=None, route=None, looks_at=None):
        """Times one call; `path`, `body`, `token` and `more` headers may be functions of the run's number. A search that finds few rows counts by those that it looks at."""
        times, rows, written = [], 1, engine.written() if name in WRITES else 0
        of = lambda value, run: value(run) if callable(value) else value
        for run in range(runs):
            took, answer = server.call(method, of(path, run), of(body, run), of(token, run), good, of(form, run), of(more, run))
            times.append(took)
            rows = looks_at or rows_in(answer)
        if name in WRITES:
            measured.sizes.append(f"{name}: {(engine.written() - written) // runs:,} bytes written ahead")
        shown = re.sub(r"\?.*", "", of(path, 0))
        measured.called.add((method, route or re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "{id}", shown)))
        measured.note(name, times, rows)

    login = lambda number: server.call("POST", "/login", {"email": email_of(number), "password": PASSWORD, "mode": "bearer"})[1]
    admin = lambda: server.call("POST", "/login", {"email": ADMIN, "password": PASSWORD, "mode": "bearer"})[1]["token"]
    root = admin()
    confirmed = {"current_password": PASSWORD}
    user = lambda number: base64.b16encode(uuid7((now - 730 * DAY) // 1000 + number * 730 * 86400000 // size, number, "u")).decode().lower()
    dashed = lambda text: f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    # Each act has users of its own, spread over all.
    spread = lambda place, run: 1 + (place * 15 + run) * (size // 600)
    path = lambda place, rest="": lambda run: f"/admin/users/{dashed(user(spread(place, run)))}{rest}"

    act("register", "POST", "/register", lambda run: {"name": f"new {run}", "email": f"new{run}@example.org", "password": PASSWORD, "mode": "bearer"})
    act("login", "POST", "/login", lambda run: {"email": email_of(spread(1, run)), "password": PASSWORD, "mode": "bearer"})
    act("login, unknown address", "POST", "/login", lambda run: {"email": f"nobody{run}@example.org", "password": PASSWORD, "mode": "bearer"}, good=(401,))
    held = [login(spread(2, run)) for run in range(RUNS)]
    tokens = [one["token"] for one in held]
    act("profile, first time", "GET", "/profile", token=lambda run: tokens[run])
    act("profile, again", "GET", "/profile", token=lambda run: tokens[run])
    act("dashboard", "GET", "/dashboard", token=lambda run: tokens[run])
    act("forward-auth", "GET", "/forward-auth", token=lambda run: tokens[run], good=(200, 401, 403, 404))
    act("own sessions", "GET", "/sessions", token=lambda run: tokens[run])
    act("change profile", "PATCH", "/profile", lambda run: {"name": f"renamed {run}"}, lambda run: tokens[run])
    act("end own other sessions", "POST", "/sessions/end-others", {}, lambda run: tokens[run])
    act("refresh", "POST", "/refresh", lambda run: {"refresh_token": held[run]["refresh_token"]})
    held = [login(spread(17, run)) for run in range(RUNS)]
    act("change password", "POST", "/profile/password", {"current_password": PASSWORD, "new_password": "another long promise"}, lambda run: held[run]["token"])
    held = [login(spread(3, run)) for run in range(RUNS)]
    act("logout", "POST", "/logout", {}, lambda run: held[run]["token"])
    held = [login(spread(4, run)) for run in range(RUNS)]
    act("logout everywhere", "DELETE", "/sessions", None, lambda run: held[run]["token"])
    held = [login(spread(5, run)) for run in range(RUNS)]
    act("delete own account", "DELETE", "/profile", {"password": PASSWORD}, lambda run: held[run]["token"])
    held = [login(spread(31, run)) for run in range(RUNS)]
    act("logout everywhere at once", "POST", "/logout/all", {}, lambda run: held[run]["token"])
    held = [login(spread(32, run)) for run in range(RUNS)]
    session = lambda one: json.loads(base64.urlsafe_b64decode(one["token"].split(".")[1] + "=="))["sid"]
    others = [session(login(spread(32, run))) for run in range(2 * RUNS)]
    act("end own session", "DELETE", lambda run: f"/sessions/{others[run]}", token=lambda run: held[run]["token"])
    others = [session(login(spread(32, run))) for run in range(RUNS)]
    act("end own session, form", "POST", lambda run: f"/sessions/{others[run]}/end", {}, lambda run: held[run]["token"])
    act("change profile, form", "POST", "/profile", lambda run: {"name": f"again {run}"}, lambda run: held[run]["token"])
    held = [login(spread(34, run)) for run in range(RUNS)]
    act("delete own account, form", "POST", "/profile/delete", {"password": PASSWORD}, lambda run: held[run]["token"])
    cookies = []
    for run in range(RUNS):
        server.call("POST", "/login", {"email": email_of(spread(33, run)), "password": PASSWORD, "mode": "cookie"})
        cookies.append("; ".join(server.cookies))
    own = {"sec-fetch-site": "same-origin"}
    act("confirm", "POST", "/confirm", confirmed, more=lambda run: {**own, "cookie": cookies[run]})
    page = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    act("refresh, a browser", "GET", "/refresh", good=(303,), more=lambda run: {**page, "cookie": cookies[run]})

    act("users, page 1", "GET", "/admin/users", token=root)
    act("users, deep page", "GET", lambda run: f"/admin/users?after={dashed(user(size // 2 + run))}", token=root)
    act("users, role=user", "GET", "/admin/users?role=user", token=root)
    act("users, role=admin", "GET", "/admin/users?role=admin", token=root)
    act("users, many begin so", "GET", lambda run: f"/admin/users?search={'0123456789abcdef'[run % 16]}", token=root)
    act("users, many begin so, role=user", "GET", lambda run: f"/admin/users?role=user&search={'0123456789abcdef'[run % 16]}", token=root)
    act("users, many begin so, role=admin", "GET", lambda run: f"/admin/users?role=admin&search={'0123456789abcdef'[run % 16]}", token=root, looks_at=min(LOOKS_AT, size // 16))
    act("users, a name", "GET", lambda run: "/admin/users?search=" + name_of(spread(6, run)).replace(" ", "%20"), token=root)
    act("users, an address", "GET", lambda run: "/admin/users?search=" + email_of(spread(7, run)), token=root)
    act("users, the middle of many names", "GET", lambda run: f"/admin/users?search={run % 10}%20", token=root)
    act("users, the middle of a name", "GET", lambda run: f"/admin/users?search={key(100 + run)[7:14]}", token=root)
    act("users, in vain", "GET", lambda run: f"/admin/users?search=nobody{run}", token=root)
    act("users, in vain, role=admin", "GET", lambda run: f"/admin/users?role=admin&search=nobody{run}", token=root)
    act("sessions, page 1", "GET", "/admin/sessions", token=root)
    deep = dashed(uuid7((now - DAY // 2) // 1000, 0, "s").hex())
    act("sessions, deep page", "GET", f"/admin/sessions?after={deep}", token=root)
    act("audit, page 1", "GET", "/admin/audit", token=root)
    deep = dashed(uuid7((now - 40 * DAY) // 1000, 0, "a").hex())
    act("audit, deep page", "GET", f"/admin/audit?after={deep}", token=root)
    act("show a user", "GET", path(8), token=root)
    act("a user's sessions", "GET", path(8, "/sessions"), token=root)
    act("make a user", "POST", "/admin/users", lambda run: {"name": "made", "email": f"made{run}@example.org"}, root)
    act("rename a user", "PATCH", path(9), lambda run: {"name": f"other {run}"}, root)
    act("disable a user", "PATCH", path(10), {"disabled": True}, root)
    act("enable a user", "PATCH", path(10), {"disabled": False}, root)
    act("another role", "PATCH", path(11), {"role": "admin", **confirmed}, root)
    act("the old role", "PATCH", path(11), {"role": "user", **confirmed}, root)
    act("reset link", "POST", path(12, "/reset-link"), confirmed, root)
    link = lambda run: server.call("POST", path(30, "/reset-link")(run), confirmed, root)[1]["url"].split("token=")[1]
    links = [link(run) for run in range(RUNS)]
    act("form of a reset link", "GET", lambda run: f"/password/reset?token={links[run]}")
    act("use a reset link", "POST", "/password/reset", lambda run: {"token": links[run], "new_password": "another long promise"})
    act("sign a user out", "DELETE", path(13, "/sessions"), token=root)
    held = [login(spread(14, run)) for run in range(RUNS)]
    act("end a session", "DELETE", lambda run: f"/admin/sessions/{session(held[run])}", token=root)
    held = [login(spread(29, run)) for run in range(RUNS)]
    act("end a session, form", "POST", lambda run: f"/admin/sessions/{session(held[run])}/end", {}, root)
    act("sign a user out, form", "POST", path(29, "/sessions/end"), {}, root)
    act("rename a user, form", "POST", path(9), lambda run: {"name": f"third {run}"}, root)
    act("delete a user", "DELETE", path(15), confirmed, root)
    act("delete a user, form", "POST", path(35, "/delete"), confirmed, root)
    act("invite", "POST", "/admin/invitations", {"role": "user"}, root, runs=2 * RUNS)
    invited = server.call("GET", "/admin/invitations", token=root)[1]["invitations"]
    act("invitations", "GET", "/admin/invitations", token=root)
    act("withdraw an invitation", "DELETE", lambda run: f"/admin/invitations/{invited[run]['id']}", token=root)
    act("withdraw an invitation, form", "POST", lambda run: f"/admin/invitations/{invited[run + RUNS]['id']}/withdraw", {}, root)
    made = [server.call("POST", "/admin/clients", {"name": f"client {run}", **confirmed}, root)[1] for run in range(2 * RUNS)]
    act("register a client", "POST", "/admin/clients", lambda run: {"name": f"other client {run}", **confirmed}, root)
    act("clients", "GET", "/admin/clients", token=root)
    basic = "Basic " + base64.b64encode(f"{made[0]['client_id']}:{made[0]['client_secret']}".encode()).decode()
    held = [login(spread(16, run)) for run in range(RUNS)]
    act("introspect", "POST", "/introspect", token=basic, form=lambda run: f"token={held[run]['token']}")
    act("revoke", "POST", "/revoke", token=basic, form=lambda run: f"token={held[run]['refresh_token']}")
    act("feed, a page", "GET", "/revocations", token=basic)
    act("delete a client", "DELETE", lambda run: f"/admin/clients/{made[run]['client_id']}", token=root)
    act("delete a client, form", "POST", lambda run: f"/admin/clients/{made[run + RUNS]['client_id']}/delete", {}, root)
    act("inspect a token", "POST", "/inspect", lambda run: {"token": held[run]["token"]}, root)
    # Recorded requests stand in memory. Here nothing is recorded, and nothing is played.
    act("a flow", "GET", "/flow/" + "0" * 24, token=root, good=(404,), route="/flow/{id}")
    act("a story", "GET", f"/flow/stories/{dashed(user(1))}", token=root, good=(200, 404))
    act("play a flow", "POST", "/tour/play", {"flow": "sign-in"}, root, good=(403,))

    document = server.call("GET", "/openapi.json")[1]["paths"]
    rest = {(method.upper(), route) for route, methods in document.items() for method in methods} - measured.called
    for route in ["/metrics", *sorted(route for method, route in rest if method == "GET" and "{" not in route)]:
        act(route, "GET", route, token=root, good=(200, 303, 400, 401, 403, 404, 405))
    measured.missing += sorted(f"{method} {route}" for method, route in rest - measured.called)
    measured.held = login(spread(36, 0))["token"]
    return measured


def measure_commands(engine, measured, size, now):
    """The commands, after the server has stopped."""
    spread = lambda place, run: 1 + (place * 15 + run) * (size // 600)

    def process(name, *arguments, stdin=None, rows=None, runs=min(RUNS, 5), good=(0,)):
        times, out = [], ""
        for run in range(runs):
            took, out = command(engine, *[of(run) if callable(of) else of for of in arguments], stdin=stdin, good=good)
            times.append(took)
        measured.note(name, times, rows(out) if rows else 1, True)

    lines = lambda out: out.count("\n") - 1
    who = lambda place: lambda run: email_of(spread(place, run))
    process("doorward token verify", "token", "verify", measured.held)
    process("doorward token explain", "token", "explain", measured.held)
    process("doorward doctor", "doctor", good=(0, 1))
    process("doorward user show", "user", "show", who(20))
    process("doorward user create", "user", "create", "--name", "made", "--email", lambda run: f"cli{run}@example.org", "--password-stdin", stdin=PASSWORD)
    brought = {"name": "brought", "email": "brought@example.org", "password_hash": "$2b$10$" + "abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzabcde"}
    process("doorward user import", "user", "import", "-", stdin=json.dumps(brought))
    process("doorward user role", "user", "role", who(21), "admin")
    process("doorward user disable", "user", "disable", who(22))
    process("doorward user enable", "user", "enable", who(22))
    process("doorward user password", "user", "password", who(23), "--password-stdin", stdin="another long promise")
    process("doorward user reset-link", "user", "reset-link", who(24))
    process("doorward user delete", "user", "delete", who(25))
    process("doorward user list --search ADDRESS", "user", "list", "--search", who(26))
    process("doorward user list --role admin", "user", "list", "--role", "admin", rows=lines)
    process("doorward user list", "user", "list", rows=lines, runs=1)
    process("doorward session list USER", "session", "list", who(27))
    process("doorward session list", "session", "list", rows=lines, runs=1)
    process("doorward session end --user", "session", "end", "--user", who(28))
    process("doorward audit list", "audit", "list", rows=lines)
    process("doorward audit list --limit 10000", "audit", "list", "--limit", "10000", rows=lines)
    process("doorward invite create", "invite", "create")
    process("doorward key list", "key", "list")
    process("doorward key rotate", "key", "rotate", runs=1)
    process("doorward client create", "client", "create", "--name", lambda run: f"program {run}")
    process("doorward client list", "client", "list", rows=lines)
    clients = [one["client_id"] for one in json.loads(command(engine, "client", "list", "--json")[1])]
    process("doorward client delete", "client", "delete", lambda run: clients[run], runs=1)
    process("doorward limits clear", "limits", "clear")
    process("doorward config adopt", "config", "adopt")
    # They write every user, and every session that lived.
    process("doorward restored --keep-sessions", "restored", "--keep-sessions", rows=lambda _: size, runs=1)
    process("doorward restored", "restored", rows=lambda _: size * SESSIONS * 3 // 5, runs=1)
    measured.missing += [f"doorward {name}" for name in commands() if not any(act.startswith(f"doorward {name}") for act in measured.acts)]


def commands():
    """The commands that ask the database, as the reference lists them. `start` is the row of `serve`."""
    without = {"serve", "tour", "hash", "verify-hash", "calibrate", "completions", "token decode", "config check", "config print"}
    # These copy a whole database, change the settings, or ask a server whether it lives.
    without |= {"store export", "store import", "store reopen", "backup", "secret rotate", "secret retire", "healthcheck"}
    text = REFERENCE.read_text()
    return [name for name, usage in re.findall(r"^## `doorward ([^`]+)`$.*?^Usage: (.*?)$", text, re.M | re.S) if name not in without and "<COMMAND>" not in usage]


def run(kind, size):
    folder = Path(tempfile.mkdtemp(prefix="growth."))
    engine = kind(folder)
    try:
        command(engine, "user", "create", "--email", ADMIN, "--name", "root", "--role", "admin", "--password-stdin", stdin=PASSWORD)
        now = int(time.time() * 1_000_000)
        started = time.monotonic()
        engine.fill(size, now, engine.hash_of_admin())
        print(f"{engine.name}, {size:,} users: filled in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        sizes = engine.sizes()
        with Server(engine) as server:
            measured = measure(server, size, now)
        measured.sizes = sizes + measured.sizes
        measure_commands(engine, measured, size, now)
        print(f"{engine.name}, {size:,} users: done after {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        return measured
    finally:
        engine.remove()
        shutil.rmtree(folder)


def ratio(small, big):
    """How much longer a row takes, above the noise."""
    floor = FLOOR_OF_PROCESS if big[2] else FLOOR
    return max(big[0], floor) / big[1] / (max(small[0], floor) / small[1])


def main():
    kinds = [{"sqlite": Sqlite, "postgres": Postgres}[name] for name in ENGINES]
    results = {kind.name: [run(kind, size) for size in SIZES] for kind in kinds}
    missing = next(iter(results.values()))[0].missing
    if missing:
        print(f"Without a row here: {', '.join(missing)}")
    over = [] if IS_SHORT else show(results)
    print("\n".join(f"OVER {LIMIT}: {one}" for one in over))
    sys.exit(1 if over or missing else 0)


def show(results):
    """Prints the table; returns what is over the limit."""
    heads = [f"{name}: ms of CPU, {SIZES[0]:,} → {SIZES[-1]:,} users | ratio a row" for name in results]
    print(f"\n| act | {' | '.join(heads)} |\n|---|{'---|---|' * len(heads)}")
    over = []
    for act in next(iter(results.values()))[0].acts:
        cells = []
        for name, by_size in results.items():
            small, big = by_size[0].acts[act], by_size[-1].acts[act]
            grown = ratio(small, big)
            rows = f" ({small[1]:,} → {big[1]:,} rows)" if small[1] != big[1] else ""
            cells.append(f"{small[0]:.2f} → {big[0]:.2f}{rows} | {'**' if grown > LIMIT else ''}{grown:.1f}{'**' if grown > LIMIT else ''}")
            over += [f"{act} on {name}: {grown:.1f}"] if grown > LIMIT else []
        print(f"| {act} | {' | '.join(cells)} |")
    for name, by_size in results.items():
        print("\n".join(["", f"{name}, {SIZES[-1]:,} users:", *by_size[-1].sizes]))
    return over


main()

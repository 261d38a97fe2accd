"""Real proxies with the settings of examples/ before a plain application: who gets through, and with which headers.

Usage: proxies.py nginx|caddy [--serve], with the program in DOORWARD (target/debug/doorward where that is not set).
`--serve` tests nothing: it says the proxy's port, and serves until its input ends.
"""

import base64
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, urlencode

from upstream import Upstream

PROGRAM = os.environ.get("DOORWARD", "target/debug/doorward")
EXAMPLES = Path(__file__).parents[2] / "examples"
PASSWORD = "a proxy is a patient porter"
APP, ACCOUNTS = "app.example.com", "accounts.example.com"
PAGE = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


class Place:
    """Doorward, the proxy and the application, each on a port of its own, for as long as the tests run."""

    def __init__(self, kind):
        self.kind, self.folder, self.running = kind, Path(tempfile.mkdtemp(prefix="doorward-proxies-")), []
        os.chmod(self.folder, 0o755)  # nginx's workers are somebody else
        self.upstream, self.collector = Upstream(), ThreadingHTTPServer(("127.0.0.1", 0), Collector)
        for server in self.upstream, self.collector:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        self.port, spare = free_port(), free_port()
        self.write_certificate()
        for email, role in ("grace@example.org", "user"), ("ada@example.org", "admin"):
            self.run("user", "create", "--email", email, "--name", "Grace Höpper", "--role", role, "--password-stdin")
        self.doorward, address = self.serve()
        changes = {"127.0.0.1:8080": address, "127.0.0.1:3000": "127.0.0.1:%d" % self.upstream.server_address[1]}
        getattr(self, kind)(changes, spare)
        self.wait()

    def write_certificate(self):
        names = "subjectAltName=DNS:*.example.com"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        command += ["-subj", "/CN=example.com", "-addext", names, "-keyout", "key.pem", "-out", "cert.pem"]
        subprocess.run(command, cwd=self.folder, check=True, stderr=subprocess.DEVNULL)

    def settings(self):
        text = (EXAMPLES / self.kind / "doorward.toml").read_text()
        for host in APP, ACCOUNTS:
            text = text.replace(f'{host}"', f'{host}:{self.port}"')
        text = text.replace("[forward_auth]", "[forward_auth]\npreflights = true")
        path = self.folder / "doorward.toml"
        path.write_text(text)
        return ["--config", path, "--data", self.folder / "data"]

    def run(self, *command):
        return subprocess.run(
            [PROGRAM, *command, *self.settings()], input=PASSWORD, text=True, check=True, capture_output=True
        ).stdout

    def serve(self):
        command = [PROGRAM, "serve", *self.settings(), "--listen", "127.0.0.1:0"]
        with open(self.folder / "doorward.log", "a") as log:
            env = {**os.environ, "DOORWARD_OTEL_ENDPOINT": "http://127.0.0.1:%d" % self.collector.server_port}
            server = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=log, text=True)
        self.running.append(server)
        for line in server.stdout:
            if found := re.search(r"http://(127\.0\.0\.1:\d+)", line):
                return server, found[1]
        sys.exit("error: Doorward did not start: " + (self.folder / "doorward.log").read_text())

    def nginx(self, changes, _):
        changes["listen 443 ssl"] = f"listen 127.0.0.1:{self.port} ssl"
        changes["/etc/ssl/example"] = changes["/etc/nginx/snippets"] = str(self.folder)
        for name in "example.conf", "doorward-check.conf":
            (self.folder / name).write_text(replaced(EXAMPLES / "nginx" / name, changes))
        temporary = "".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in TEMPORARY)
        (self.folder / "nginx.conf").write_text(
            f"daemon off; pid {self.folder}/pid; error_log {self.folder}/proxy.log; events {{ }}"
            f"http {{ access_log off; {temporary} include {self.folder}/example.conf; }}"
        )
        self.start(["nginx", "-p", self.folder, "-e", self.folder / "proxy.log", "-c", self.folder / "nginx.conf"])

    def caddy(self, changes, spare):
        options = f"{{\nadmin off\nhttp_port {spare}\nhttps_port {self.port}\nlocal_certs\nskip_install_trust\n}}\n"
        (self.folder / "Caddyfile").write_text(options + replaced(EXAMPLES / "caddy" / "Caddyfile", changes))
        os.environ["XDG_DATA_HOME"] = os.environ["XDG_CONFIG_HOME"] = str(self.folder)
        self.start(["caddy", "run", "--config", self.folder / "Caddyfile", "--adapter", "caddyfile"])

    def start(self, command):
        with open(self.folder / "proxy.log", "a") as log:
            self.running.append(subprocess.Popen(command, stdout=log, stderr=log))

    def wait(self):
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                if Browser(self).ask(ACCOUNTS, "/healthz").status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        sys.exit("error: the proxy did not start: " + (self.folder / "proxy.log").read_text())

    def close(self):
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait()
        self.doorward.stdout.close()
        for server in self.upstream, self.collector:
            server.shutdown()
            server.server_close()
        shutil.rmtree(self.folder)


class Collector(BaseHTTPRequestHandler):
    """Takes Doorward's spans, as bytes."""

    taken = b""

    def do_POST(self):
        Collector.taken += self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


TEMPORARY = "client_body", "proxy", "fastcgi", "uwsgi", "scgi"


def replaced(path, changes):
    text = path.read_text()
    for ours, theirs in changes.items():
        assert ours in text or path.name != "example.conf", f"{path} has no {ours}"
        text = text.replace(ours, theirs)
    return text


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Answer:
    def __init__(self, raw):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ")[1])
        self.headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines]

    def header(self, name):
        return next((value for other, value in self.headers if other.lower() == name), None)

    def asked(self):
        """What reached the application: the fields of the head, in the order of their arrival."""
        fields = json.loads(self.body)["head"][1:]
        return [tuple(part.strip() for part in field.split(":", 1)) for field in fields]

    def sent(self):
        return json.loads(self.body)["body"]


class Browser:
    """Keeps the one cookie that counts; says what it is told to, byte for byte."""

    def __init__(self, place, email=None):
        self.place, self.secret = place, None
        if email:
            self.sign_in(email)

    def ask(self, host, path, method="GET", headers=(), body=b""):
        headers = list(headers.items()) if isinstance(headers, dict) else list(headers)
        if self.secret and not any(name.lower() == "cookie" for name, _ in headers):
            headers.append(("Cookie", f"theme=dark; __Secure-sessionId={self.secret}; language=en"))
        if body and not any(name.lower() == "transfer-encoding" for name, _ in headers):
            headers.append(("Content-Length", str(len(body))))
        if not any(name.lower() == "connection" for name, _ in headers):
            headers.append(("Connection", "close"))
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}:{self.place.port}"]
        head = "\r\n".join(lines + [f"{name}: {value}" for name, value in headers]) + "\r\n\r\n"
        with self.connect(host) as stream:
            stream.sendall(head.encode("latin-1") + body)
            return Answer(read(stream))

    def connect(self, host):
        trusting = ssl._create_unverified_context()
        stream = socket.create_connection(("127.0.0.1", self.place.port), timeout=20)
        return trusting.wrap_socket(stream, server_hostname=host)

    def sign_in(self, email, return_to=""):
        form = urlencode({"email": email, "password": PASSWORD, "return_to": return_to}).encode()
        answer = self.form("/login", form)
        for name, value in answer.headers:
            if name.lower() == "set-cookie" and value.startswith("__Secure-sessionId="):
                self.secret = value.split("=", 1)[1].split(";")[0]
                assert "Domain=example.com" in value and "HttpOnly" in value and "Secure" in value, value
        assert self.secret, answer.body
        return answer

    def form(self, path, body=b""):
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
        return self.ask(ACCOUNTS, path, "POST", headers, body)


def read(stream):
    """One answer: to its end by length, or to the end of the connection."""
    raw = b""
    while chunk := stream.recv(65536):
        raw += chunk
        head, found, body = raw.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if found and length and len(body) >= int(length[1]):
            break
    return raw


def folded(name):
    return name.lower().replace("_", "-").replace(".", "-")


class Proxies(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = Place(KIND)
        cls.addClassCleanup(cls.place.close)
        cls.grace = Browser(cls.place, "grace@example.org")
        cls.ada = Browser(cls.place, "ada@example.org")
        cls.grace_id = json.loads(cls.place.run("user", "show", "grace@example.org", "--json"))["id"]

    def reaches(self, answer):
        """Sees that the application was asked for Grace, in one voice, and without what opens anything."""
        self.assertEqual(answer.status, 200, answer.body)
        ours = [(folded(name), value) for name, value in answer.asked()]
        ours = [(name, value) for name, value in ours if name.startswith(("remote", "doorward", "x-remote"))]
        said = dict(ours)
        self.assertEqual(len(ours), len(said), ours)
        self.assertEqual(said.pop("remote-user"), self.grace_id)
        self.assertEqual(said.pop("remote-name").encode("latin-1").decode(), "Grace Höpper")
        self.assertEqual(said.pop("remote-role"), "user")
        self.assertEqual(said.pop("remote-email", ""), "")
        claims = json.loads(base64.urlsafe_b64decode(said.pop("doorward-identity").split(".")[1] + "=="))
        self.assertEqual(claims["sub"], self.grace_id)
        self.assertEqual(claims["aud"], f"{APP}:{self.place.port}")
        self.assertEqual(said, {})
        self.assertNotIn(self.grace.secret.encode(), answer.body)

    def refuses(self, answer, *statuses):
        self.assertIn(answer.status, statuses, answer.body)
        self.assertNotIn(b'"head"', answer.body, "the application was reached")

    def test_who_is_signed_in_reaches_the_application_by_name(self):
        self.reaches(self.grace.ask(APP, "/"))
        self.reaches(self.grace.ask(APP, "/a/b?c=d%2Fe&role=admin", headers=PAGE))

    def test_a_browser_is_led_to_the_login_and_back(self):
        visitor = Browser(self.place)
        answer = visitor.ask(APP, "/notes?page=2", headers=PAGE)
        self.refuses(answer, 302)
        back = f"https://{APP}:{self.place.port}/notes?page=2"
        login = f"https://{ACCOUNTS}:{self.place.port}/login?return_to={quote(back, safe='')}"
        self.assertEqual(answer.header("location"), login)
        page = visitor.ask(ACCOUNTS, login.split(str(self.place.port), 1)[1], headers=PAGE)
        self.assertEqual(page.status, 200)
        self.assertIn(f'value="{back}"'.encode().replace(b"&", b"&amp;"), page.body.replace(b"&#x2f;", b"/"))
        answer = visitor.sign_in("grace@example.org", back)
        self.assertEqual((answer.status, answer.header("location")), (303, back))
        self.assertEqual(visitor.ask(APP, "/notes?page=2", headers=PAGE).status, 200)

    def test_a_program_gets_a_401_and_no_page(self):
        for headers in {}, {"Accept": "application/json"}, {**PAGE, "X-Requested-With": "XMLHttpRequest"}:
            answer = Browser(self.place).ask(APP, "/api", headers=headers)
            self.refuses(answer, 401)
            self.assertIsNone(answer.header("location"))
            self.assertTrue(answer.header("www-authenticate").startswith("Bearer"))
            # So that a page of another origin may read it, and refresh.
            self.assertEqual(answer.header("access-control-expose-headers"), "www-authenticate")
        self.refuses(Browser(self.place).ask(APP, "/", "POST", PAGE, b"x=y"), 401)
        self.refuses(Browser(self.place).ask(APP, "/", "OPTIONS", {"Access-Control-Request-Method": "POST"}), 401)

    def test_no_identity_header_of_the_client_survives_in_any_spelling(self):
        names = ["Remote-User", "remote-user", "REMOTE-USER", "Remote_User", "remote_user", "REMOTE_USER", "Remote.User"]
        names += ["Remote-Role", "Remote_Role", "Remote-Email", "Remote_Email", "Remote-Name", "Remote-Groups"]
        names += ["Doorward-Identity", "Doorward_Identity", "DOORWARD-IDENTITY"]
        for name in names:
            for headers in [(name, "boss")], [(name, "boss"), (name, "boss")], [(name, "")]:
                answer = self.grace.ask(APP, "/", headers=headers)
                if answer.status != 400:
                    self.assertNotIn(b"boss", answer.body, name)
                    self.reaches(answer)
                self.refuses(Browser(self.place).ask(APP, "/", headers=headers), 401, 400)

    def test_no_header_is_dropped_by_naming_it_hop_by_hop(self):
        for named in "Remote-User", "remote-user, doorward-identity", "close, Remote-Role", "Cookie", "Authorization":
            headers = [("Connection", named), ("Remote-User", "boss"), ("Authorization", "Bearer boss")]
            answer = self.grace.ask(APP, "/", headers=[("Connection", named), ("Remote-User", "boss")])
            if answer.status != 400:
                self.reaches(answer)
            self.refuses(self.grace.ask(APP, "/", headers=headers), 401, 400)

    def test_the_cookie_of_doorward_stays_with_the_proxy(self):
        ours = f"__Secure-sessionId={self.grace.secret}"
        for line, others in [
            (ours, []),
            (f"{ours}; a=b", ["a=b"]),
            (f"a=b; {ours}", ["a=b"]),
            (f"a=b;{ours};c=d", ["a=b", "c=d"]),
            (f"a=b;  {ours} ; c=d", ["a=b", "c=d"]),
            (f"__Host-sessionId=decoy; {ours}; x__Secure-sessionId=decoy", ["__Host-sessionId=decoy", "x__Secure-sessionId=decoy"]),
            (f"__Secure-sessionId2=decoy; {ours}", ["__Secure-sessionId2=decoy"]),
            (f"__Host-device=d; {ours}; a=b; __Host-refresh_token=r", ["a=b"]),
            (f"a=b; __Host-refresh_token=r; {ours}; __Host-device=d; c=d", ["a=b", "c=d"]),
        ]:
            answer = self.grace.ask(APP, "/", headers={"Cookie": line})
            self.reaches(answer)
            cookies = [value for name, value in answer.asked() if name.lower() == "cookie"]
            left = [one.strip() for value in cookies for one in value.split(";") if one.strip()]
            self.assertEqual(left, others, line)
        two_lines = [("Cookie", "a=b"), ("Cookie", ours)]
        self.reaches(self.grace.ask(APP, "/", headers=two_lines))
        # Another host of the domain may plant more of that name: none of them reaches the application.
        for many in (
            f"{ours}; {ours}",
            f"{ours}; a=b; __Secure-sessionId=x",
            "__Secure-sessionId=x;" * 9 + ours,
            f"__Host-device=x; {ours}; __Host-device=y;__Host-refresh_token=x; __Host-refresh_token=y",
        ):
            for headers in {"Cookie": many}, [("Cookie", one) for one in many.split(";")]:
                answer = self.grace.ask(APP, "/", headers=headers)
                self.reaches(answer)
                for name in "__Secure-sessionId=", "__Host-device=", "__Host-refresh_token=":
                    self.assertNotIn(name, str(answer.asked()))

    def test_a_malformed_cookie_is_no_identity(self):
        for value in "", "x", self.grace.secret[1:], f'"{self.grace.secret}"', self.grace.secret + "=":
            self.refuses(Browser(self.place).ask(APP, "/", headers={"Cookie": f"__Secure-sessionId={value}"}), 401)

    def test_a_bearer_token_gets_through_and_not_to_the_application(self):
        body = json.dumps({"email": "grace@example.org", "password": PASSWORD, "mode": "bearer"}).encode()
        answer = self.grace.ask(ACCOUNTS, "/login", "POST", {"Content-Type": "application/json", "Cookie": "a=b"}, body)
        token = json.loads(answer.body)["token"]
        answer = Browser(self.place).ask(APP, "/", headers={"Authorization": f"Bearer {token}"})
        self.reaches(answer)
        self.assertNotIn(token.encode(), answer.body)
        self.refuses(self.grace.ask(APP, "/", headers={"Authorization": "Bearer bad"}), 401)

    def test_a_preflight_reaches_the_application_without_an_identity(self):
        asks = {"Origin": "https://shop.example.com", "Access-Control-Request-Method": "POST"}
        for browser in Browser(self.place), self.grace:
            for path in "/api", "/admin/api":
                answer = browser.ask(APP, path, "OPTIONS", asks)
                self.assertEqual(answer.status, 200, answer.body)
                for name, value in answer.asked():
                    ours = folded(name).startswith(("remote", "doorward"))
                    self.assertFalse(ours and value, f"{name}: {value}")
                self.assertNotIn(b"__Secure-sessionId", answer.body)

    def test_nothing_else_passes_for_a_preflight(self):
        """What a client says of its own method, in every place and spelling, and what lacks a part."""
        asks = [("Origin", "https://shop.example.com"), ("Access-Control-Request-Method", "POST")]
        claims = [("X-Forwarded-Method", "OPTIONS"), ("x-forwarded-method", "OPTIONS"), ("X_Forwarded_Method", "OPTIONS")]
        claims += [("X-HTTP-Method-Override", "OPTIONS"), ("X-Original-Method", "OPTIONS"), ("X-Method-Override", "OPTIONS")]
        for claim in claims:
            for method in "GET", "POST", "HEAD", "DELETE":
                for headers in [claim], [claim, claim]:
                    answer = Browser(self.place).ask(APP, "/", method, [*asks, *headers])
                    self.refuses(answer, 401, 400, 403)
                    self.assertFalse(answer.header("remote-user"))
        for headers in asks[:1], asks[1:], [asks[0], ("Connection", "Origin")], [("X-Forwarded-Method", "OPTIONS")]:
            self.refuses(Browser(self.place).ask(APP, "/", "OPTIONS", headers), 401)
        named = [*asks, ("Connection", "X-Forwarded-Method"), ("X-Forwarded-Method", "OPTIONS")]
        self.refuses(Browser(self.place).ask(APP, "/", "GET", named), 401, 400, 403)

    def test_a_person_who_lacks_the_role_sees_a_page_and_a_program_none(self):
        answer = self.grace.ask(APP, "/admin/users", headers=PAGE)
        self.refuses(answer, 403)
        self.assertTrue(answer.header("content-type").startswith("text/html"), answer.headers)
        page = answer.body.replace(b"&#x2f;", b"/")
        self.assertIn(b"This door stays shut", page)
        for place in "/dashboard", "/style.css?v=":
            self.assertIn(f'"https://{ACCOUNTS}:{self.place.port}{place}'.encode(), page)
        answer = self.grace.ask(APP, "/admin/users", headers={"Accept": "application/json"})
        self.refuses(answer, 403)
        self.assertEqual(json.loads(answer.body)["code"], "forbidden")

    def test_a_path_can_ask_for_a_role(self):
        self.refuses(self.grace.ask(APP, "/admin/users", headers=PAGE), 403)
        self.assertEqual(self.ada.ask(APP, "/admin/users").status, 200)
        for path in "/admin", "//admin/users", "/x/../admin/users", "/%61dmin/users", "/./admin/users":
            self.refuses(self.grace.ask(APP, path), 403, 400, 308)

    def test_the_client_cannot_say_where_it_was_going(self):
        for name, value in [
            ("X-Forwarded-Host", "evil.example"),
            ("X_Forwarded_Host", "evil.example"),
            ("X-Original-URL", "https://evil.example/"),
            ("X-Forwarded-Uri", "//evil.example/"),
            ("X-Forwarded-Method", "POST"),
            ("X-Forwarded-Proto", "http"),
            ("X-Forwarded-For", "10.0.0.1"),
            ("Forwarded", "host=evil.example"),
        ]:
            answer = Browser(self.place).ask(APP, "/", headers=[*PAGE.items(), (name, value)])
            self.refuses(answer, 302, 401, 403)
            self.assertNotIn("evil", answer.header("location") or "", name)

    def test_the_door_of_the_proxy_is_closed_to_everybody_else(self):
        told = {"X-Forwarded-Proto": "https", "X-Forwarded-Uri": "/", "X-Forwarded-Method": "GET"}
        told["X-Forwarded-Host"] = f"{APP}:{self.place.port}"
        for path in "/forward-auth", "/forward-auth?role=user", "/x/../forward-auth", "//forward-auth", "/forward%2dauth":
            answer = self.grace.ask(ACCOUNTS, path, headers=told)
            self.assertIn(answer.status, (400, 403, 404), path)
            self.assertFalse(answer.header("doorward-identity"), path)
        self.refuses(self.grace.ask(APP, "/doorward"), 404, 200) if KIND == "nginx" else None

    def test_a_client_joins_no_trace(self):
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
        Browser(self.place).ask(ACCOUNTS, "/readyz", headers=headers)
        self.reaches(self.grace.ask(APP, "/", headers=headers))
        self.ada.ask(APP, "/admin", headers=headers)
        last = "/.well-known/change-password"
        Browser(self.place).ask(ACCOUNTS, last)
        until = time.monotonic() + 20
        while last.encode() not in Collector.taken and time.monotonic() < until:
            time.sleep(0.05)
        self.assertIn(b"GET /readyz", Collector.taken)
        self.assertIn(b"GET /forward-auth", Collector.taken)
        self.assertNotIn(bytes.fromhex(trace), Collector.taken)

    def test_a_logout_acts_at_once(self):
        visitor = Browser(self.place, "grace@example.org")
        self.assertEqual(visitor.ask(APP, "/").status, 200)
        self.assertEqual(visitor.form("/logout").status, 303)
        self.refuses(visitor.ask(APP, "/", headers=PAGE), 302)
        self.refuses(visitor.ask(APP, "/"), 401)

    def test_bodies_pass_whole(self):
        body = b"0123456789" * 20_000
        answer = self.grace.ask(APP, "/", "POST", body=body)
        self.assertEqual(answer.sent().encode(), body)
        chunks = b"".join(b"%x\r\n%s\r\n" % (1000, body[:1000]) for _ in range(50)) + b"0\r\n\r\n"
        answer = self.grace.ask(APP, "/", "POST", [("Transfer-Encoding", "chunked")], chunks)
        self.assertEqual(answer.sent().encode(), body[:1000] * 50)

    def test_an_upgraded_connection_carries_both_ways(self):
        upgrade = "GET /live HTTP/1.1\r\nHost: %s:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%s\r\n"
        cookie = f"Cookie: __Secure-sessionId={self.grace.secret}\r\n"
        with self.grace.connect(APP) as stream:
            stream.sendall((upgrade % (APP, self.place.port, cookie)).encode())
            self.assertIn(b" 101 ", stream.recv(4096))
            stream.sendall(b"hello")
            self.assertEqual(stream.recv(5), b"hello")
        with self.grace.connect(APP) as stream:
            stream.sendall((upgrade % (APP, self.place.port, "")).encode())
            self.assertIn(b" 401 ", stream.recv(4096))

    def test_zz_without_doorward_nobody_gets_through(self):
        """Last, since it stops Doorward."""
        self.place.doorward.kill()
        self.place.doorward.wait()
        before = len(self.place.upstream.asked)
        for browser in self.grace, Browser(self.place):
            self.refuses(browser.ask(APP, "/"), 500, 502)
            self.refuses(browser.ask(APP, "/admin", headers=PAGE), 500, 502)
        self.assertEqual(len(self.place.upstream.asked), before)


if __name__ == "__main__":
    KIND = sys.argv.pop(1) if len(sys.argv) > 1 else sys.exit(__doc__)
    if "--serve" not in sys.argv:
        unittest.main(verbosity=2)
    place = Place(KIND)
    print(place.port, flush=True)
    sys.stdin.read()
    place.close()

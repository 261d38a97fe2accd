"""Receives Doorward's spans as a collector of OpenTelemetry does, and decodes them with PyPI's opentelemetry-proto.

Usage: otel.py, with the program in DOORWARD, as tests/oracles/pyjwt.py, which this builds on.
"""

import base64
import contextlib
import http.client
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from pyjwt import check, serving, verdicts

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
PASSWORD = "correct horse battery"
AGENT, CLIENT = "Canary-Agent/7.3", "203.0.113.77"
TOKEN = "a token for the collector"
STRANGER = "127.0.0.2"
EMAIL = "canary-of-a-login@example.org"


def main():
    spans_of_requests()
    nothing_personal()
    traces_of_proxies()
    sampling()
    nothing_when_not_set()
    failures_of_the_collector()
    print(f"\n{sum(verdicts)} passed, {len(verdicts) - sum(verdicts)} failed")
    sys.exit(not all(verdicts))


def spans_of_requests():
    print("\nSpans of requests")
    headers = f"authorization=Bearer%20{TOKEN.replace(' ', '%20')},x-tenant=doors"
    with collecting() as collector:
        with traced(collector, DOORWARD_OTEL_HEADERS=headers) as server:
            wrong = {"email": "ada@example.org", "password": "wrong horse battery"}
            check("a wrong password is refused", ask(server, "/login", wrong)[0] == 401)
            check("a right one is not", ask(server, "/login", {**wrong, "password": PASSWORD})[0] == 200)
            status, _, answered = ask(server, "/profile", token=server.token)
            check("a token is accepted", status == 200)
            forged = server.token[:-4] + ("AAAA" if server.token[-4:] != "AAAA" else "BBBB")
            check("a forged one is not", ask(server, "/profile", token=forged)[0] == 401)
            ask(server, "/no/such/route-canary?q=canary-of-a-query")
            ask(server, "/profile", method="CANARY")
            check("spans are sent while the server runs", eventually(collector.spans))
            ask(server, "/healthz")
        check("the last ones are sent by a server that stops", one(collector, "GET /healthz"))

        first = collector.requests[0]
        check("they are sent to /v1/traces", {path for path, *_ in collector.requests} == {"/v1/traces"})
        check("as protobuf", first[1]["content-type"] == "application/x-protobuf")
        check("with the headers of the settings", first[1]["authorization"] == f"Bearer {TOKEN}" and first[1]["x-tenant"] == "doors")
        check("without a traceparent", not any("traceparent" in headers for _, headers, _ in collector.requests))
        resource = attributes(first[2].resource_spans[0].resource)
        check("the service has its name", resource["service.name"] == "doorward" and resource["service.version"])

        all_spans = collector.spans()
        servers = [span for span in all_spans if span.kind == Span.SPAN_KIND_SERVER]
        check("each request is one trace", len({span.trace_id for span in servers}) == len(servers) == 8)
        ids = [span.span_id for span in all_spans]
        check("no id occurs twice", len(set(ids)) == len(ids) and all(len(one) == 8 and any(one) for one in ids))
        check("ids of traces have 16 bytes", all(len(span.trace_id) == 16 for span in all_spans))

        login = [span for span in servers if span.name == "POST /login" and not refused(span)][0]
        children = [span for span in all_spans if span.parent_span_id == login.span_id]
        check("a login has a span for the password", "ComparePassword" in {span.name for span in children})
        check("and one for the transaction", "Commit" in {span.name for span in children})
        check("they are of its trace", children and all(span.trace_id == login.trace_id for span in children))
        check("and within its time", all(
            login.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano <= login.end_time_unix_nano
            for span in children))
        check("its time is now", abs(login.end_time_unix_nano / 1e9 - time.time()) < 60)
        check("its steps that took no time are events", {"Login", "TakeGuess", "Answer"} <= events(login))

        profile = one(collector, "GET /profile", lambda span: not refused(span))
        found = attributes(profile)
        check("a protected request has method, route and status", (
            found["http.request.method"], found["http.route"], found["http.response.status_code"]
        ) == ("GET", "/profile", 200))
        check("and the id of its answer", found["doorward.request.id"] == answered["x-request-id"])
        check("and its session", found["session.id"] == claims(server.token)["sid"])
        check("its checks are events", {"PickCredential", "VerifySignature", "CheckClaims", "CheckRevocations"} <= events(profile))

        refusal = one(collector, "GET /profile", lambda span: refused(span) == "token_invalid")
        failed = [event.name for event in refusal.events if attributes(event).get("doorward.verdict") == "failed"]
        check("a refusal has its code, and the check that failed", failed and failed[0] == "VerifySignature")
        check("and is no failure of the server", refusal.status.code == Status.STATUS_CODE_UNSET)
        check("no URL is among the spans", b"canary" not in collector.bytes())
        check("a foreign path has no route", any(span.name == "GET" and "http.route" not in attributes(span) for span in servers))
        check("a foreign method is _OTHER", any(attributes(span)["http.request.method"] == "_OTHER" for span in servers))
        secrets = [PASSWORD, "wrong horse battery", server.token, server.token.split(".")[2], forged.split(".")[2], TOKEN]
        check("no secret is", not [secret for secret in secrets if secret.encode() in collector.bytes()])


def nothing_personal():
    print("\nNothing personal")
    trusted = {"DOORWARD_TRUSTED_PROXIES": "127.0.0.1/32"}
    for personal in False, True:
        with collecting() as collector:
            with traced(collector, DOORWARD_OTEL_PERSONAL=str(personal).lower(), **trusted) as server:
                headers = {"User-Agent": AGENT, "X-Forwarded-For": CLIENT}
                ask(server, "/login", {"email": EMAIL, "password": PASSWORD}, headers=headers)
                ask(server, "/login", {"email": "ada@example.org", "password": PASSWORD}, headers=headers)
                ask(server, "/profile", token=server.token, headers=headers)
                stranger = f"{base64url({'alg': AGENT, 'kid': EMAIL})}.e30.AAAA"
                ask(server, "/profile", token=stranger, headers=headers)
            check("the requests arrive", len(collector.servers()) == 5)
            sent = collector.bytes()
            canaries = [AGENT, CLIENT, "203.0.113.", EMAIL, "ada@example.org", "Ada", "127.0.0.1", server.user["id"]]
            found = [canary for canary in canaries if canary.encode() in sent]
            if personal:
                check("with otel.personal the client is sent", {AGENT, CLIENT, server.user["id"]} <= set(found))
            else:
                check(f"no address, name or user agent is sent {found or ''}", not found)


def traces_of_proxies():
    print("\nTraces of proxies")
    malformed = [
        TRACEPARENT.upper(), TRACEPARENT + "-00", "01" + TRACEPARENT[2:], "ff" + TRACEPARENT[2:],
        f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{'0' * 16}-01", f"{TRACEPARENT}, {TRACEPARENT}", "",
    ]
    with collecting() as collector:
        with traced(collector, DOORWARD_TRUSTED_PROXIES="127.0.0.1/32") as server:
            ask(server, "/healthz", headers={"traceparent": TRACEPARENT})
            ask(server, "/readyz", headers={"traceparent": TRACEPARENT[:-1] + "0"})
            for line in malformed:
                ask(server, "/profile", headers={"traceparent": line})
            forwarded = {"X-Forwarded-For": "127.0.0.1"}
            ask(server, "/login", headers={"traceparent": TRACEPARENT, **forwarded}, source=STRANGER)
            ask(server, "/register", headers={"traceparent": TRACEPARENT[:-1] + "0"}, source=STRANGER)
        joined = one(collector, "GET /healthz")
        check("a trusted proxy's trace is continued", (joined.trace_id.hex(), joined.parent_span_id.hex()) == (TRACE, PARENT))
        check("its parent is remote", joined.flags & 0x301 == 0x301)
        check("what it doesn't record is not sent", not [span for span in collector.spans() if span.name == "GET /readyz"])
        others = [span for span in collector.servers() if span.name == "GET /profile"]
        check("a malformed traceparent begins a new one", len(others) == len(malformed)
              and all(span.trace_id.hex() != TRACE and not span.parent_span_id for span in others))
        stranger = one(collector, "GET /login")
        check("a stranger joins no trace", stranger and stranger.trace_id.hex() != TRACE and not stranger.parent_span_id)
        check("and prevents none", one(collector, "GET /register"))


def sampling():
    print("\nSampling")
    with collecting() as collector:
        with traced(collector, DOORWARD_OTEL_SAMPLE="0.000001%", DOORWARD_TRUSTED_PROXIES="127.0.0.1/32") as server:
            for _ in range(20):
                ask(server, "/healthz")
            ask(server, "/readyz", headers={"traceparent": TRACEPARENT})
            ask(server, "/login", headers={"traceparent": TRACEPARENT}, source=STRANGER)
        names = [span.name for span in collector.servers()]
        check("what a trusted proxy records is sent, and a stranger can't force it", names == ["GET /readyz"])


def nothing_when_not_set():
    print("\nNothing when not set")
    with collecting() as collector:
        with serving(dev=False, DOORWARD_OTEL_HEADERS="x-tenant=doors", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as server:
            ask(server, "/profile", token=server.token)
        check("nobody is connected to", collector.connections == 0)


def failures_of_the_collector():
    print("\nA collector that fails")
    with collecting() as elsewhere, collecting() as collector:
        with traced(collector) as server:
            check("a request is not delayed by a collector that is overloaded", swift(server, collector, 503))
            collector.behaviour = 200
            check("which gets the same spans again", eventually(lambda: one(collector, "GET /healthz")))
            check("nor by one that refuses", swift(server, collector, 400))
            refused = len(collector.raw)
            collector.elsewhere = elsewhere.url + "/v1/traces"
            check("nor by one that redirects", swift(server, collector, 307))
            check("nor by one that answers without end", swift(server, collector, "endless"))
            check("nor by one that hangs", swift(server, collector, "hang"))
            check("none of which gets anything again", len(set(collector.raw[refused - 1:])) == len(collector.raw) - refused + 1)
            memory = resident(server)
            for _ in range(1_000):
                ask(server, "/healthz")
            check("which takes no memory without end", resident(server) - memory < 24 << 20)
            began = time.monotonic()
        check("and keeps nobody from stopping", time.monotonic() - began < 10)
        check("a redirect is not followed", elsewhere.connections == 0)
    with serving(dev=False, DOORWARD_OTEL_ENDPOINT="http://127.0.0.1:9") as server:
        check("nor by one that is not there", swift(server))
        time.sleep(1.5)
        began = time.monotonic()
    check("which keeps nobody either", time.monotonic() - began < 4)


def swift(server, collector=None, behaviour=None):
    """Whether requests are answered at once while the collector behaves so; waits until it has got their spans."""
    if collector:
        collector.behaviour, collector.before = behaviour, len(collector.requests) + 1
    began = time.monotonic()
    for _ in range(20):
        ask(server, "/healthz")
    is_swift = time.monotonic() - began < 4
    return is_swift and (not collector or eventually(lambda: len(collector.requests) >= collector.before))


def eventually(holds):
    for _ in range(100):
        if holds():
            return True
        time.sleep(0.1)
    return False


class Collector:
    """What a collector got, and how it answers."""

    def __init__(self):
        self.requests, self.connections, self.behaviour, self.elsewhere = [], 0, 200, ""
        self.before, self.raw, self.over = 0, [], threading.Event()

    def got(self, path, headers, body):
        request = ExportTraceServiceRequest.FromString(body)
        unknown = [span for span in spans_of(request) if span.name == "" or not span.span_id]
        check("a request can be read", not unknown) if unknown or len(self.requests) == 0 else None
        self.raw.append(body)
        self.requests.append((path, {name.lower(): value for name, value in headers.items()}, request))

    def spans(self):
        return [span for _, _, request in self.requests for span in spans_of(request)]

    def servers(self):
        return [span for span in self.spans() if span.kind == Span.SPAN_KIND_SERVER]

    def bytes(self):
        return b"".join(self.raw)


def spans_of(request):
    return [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]


@contextlib.contextmanager
def collecting():
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self):
            collector.connections += 1
            super().setup()

        def do_POST(self):
            behaviour = collector.behaviour
            collector.got(self.path, self.headers, self.rfile.read(int(self.headers["Content-Length"])))
            if behaviour == "hang":
                collector.over.wait()
                return
            self.send_response(200 if behaviour == "endless" else behaviour)
            if behaviour == 307:
                self.send_header("Location", collector.elsewhere)
            self.send_header("Content-Type", "application/x-protobuf")
            if behaviour == "endless":
                self.end_headers()
                with contextlib.suppress(OSError):
                    while not collector.over.is_set():
                        self.wfile.write(bytes(65_536))
                self.close_connection = True
                return
            body = ExportTraceServiceResponse().SerializeToString()
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield collector
    finally:
        collector.over.set()
        server.shutdown()
        server.server_close()


def traced(collector, **settings):
    return serving(dev=False, DOORWARD_OTEL_ENDPOINT=collector.url, **settings)


def ask(server, path, body=None, token=None, method=None, headers=None, source=None):
    """Sends a request, from this address; gives status, body and headers of the answer."""
    method = method or ("POST" if body else "GET")
    headers = {"Accept": "application/json", **(headers or {})}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if body:
        headers["Content-Type"] = "application/json"
    host = server.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, source_address=source and (source, 0))
    with contextlib.closing(connection):
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}


def attributes(of):
    values = {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in of.attributes}
    return values if len(values) == len(of.attributes) else check("an attribute occurs twice", False) or values


def one(collector, name, holds=lambda span: True):
    """The one span of a request with this name; `None` if there is none."""
    found = [span for span in collector.servers() if span.name == name and holds(span)]
    return found[0] if found else None


def refused(span):
    return attributes(span).get("error.type")


def events(span):
    return {event.name for event in span.events}


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def base64url(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def resident(server):
    """The memory of the server, in bytes."""
    with open(f"/proc/{server.process}/status") as status:
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1]) << 10


if __name__ == "__main__":
    main()

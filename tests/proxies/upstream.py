"""A plain application that knows nothing of Doorward: it answers with the head and the body that it was sent, byte for
byte, as JSON; and speaks back on an upgraded connection what it hears."""

import json
import socketserver


class Answer(socketserver.StreamRequestHandler):
    def handle(self):
        while (head := self.head()) is not None:
            fields = [line.split(":", 1) for line in head[1:]]
            named = {name.strip().lower(): value.strip() for name, value in fields}
            self.server.asked.append(head)
            if named.get("upgrade") == "websocket":
                self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
                while heard := self.request.recv(1024):
                    self.request.sendall(heard)
                return
            said = json.dumps({"head": head, "body": self.body(named).decode("latin-1")}).encode()
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
            self.wfile.write(b"Content-Length: %d\r\n\r\n%s" % (len(said), said))

    def head(self):
        lines = []
        while (line := self.rfile.readline()) not in (b"", b"\r\n"):
            lines.append(line.decode("latin-1").rstrip("\r\n"))
        return lines or None

    def body(self, named):
        if named.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(named.get("content-length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body


class Upstream(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked = []

"""HTTP as virtual users speak it: one connection to each node, kept open, and a limit to their patience."""

import asyncio
import json

# Longer than any limit of the server.
PATIENCE = 7


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.raw = status, headers, body

    @property
    def body(self):
        try:
            return json.loads(self.raw) if self.raw else {}
        except ValueError:
            return {}

    def cookie(self, name):
        for other, value in self.headers:
            if other == "set-cookie" and value.startswith(f"__Host-{name}="):
                return value.split("=", 1)[1].split(";")[0]
        return ""


class NoAnswer(Exception):
    """The connection failed, or nothing came in time. The act may have been done all the same."""


class Client:
    def __init__(self, ports):
        self.ports, self.free = ports, {}

    async def send(self, node, method, path, body=None, token="", cookie=""):
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.ports[node]}"]
        if token:
            lines.append(f"Authorization: Bearer {token}")
        if cookie:
            lines.append(f"Cookie: __Host-sessionId={cookie}")
        data = b""
        if body is not None:
            data = json.dumps(body).encode()
            lines.append("Content-Type: application/json")
        if method != "GET":
            lines.append(f"Content-Length: {len(data)}")
        head = "\r\n".join(lines) + "\r\n\r\n"
        try:
            async with asyncio.timeout(PATIENCE):
                return await self.exchange(node, head.encode() + data)
        except TimeoutError:
            raise NoAnswer("no answer in time") from None
        except (OSError, EOFError, ValueError) as error:
            raise NoAnswer(type(error).__name__) from None

    async def exchange(self, node, data):
        connection = self.free.pop(node, None)
        if connection is None or connection[0].at_eof():
            connection = await asyncio.open_connection("127.0.0.1", self.ports[node])
        reader, writer = connection
        try:
            writer.write(data)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = [tuple(part.strip() for part in line.split(":", 1)) for line in head[1:] if line]
            headers = [(name.lower(), value) for name, value in headers]
            length = next((int(value) for name, value in headers if name == "content-length"), 0)
            answer = Answer(int(head[0].split(" ")[1]), headers, await reader.readexactly(length))
        except BaseException:
            writer.close()
            raise
        if node in self.free or ("connection", "close") in headers:
            writer.close()
        else:
            self.free[node] = connection
        return answer

    def close(self):
        for _, writer in self.free.values():
            writer.close()
        self.free = {}

"""A gate in front of PostgreSQL for each node: it passes connections on, cuts them, and lets them hang."""

import asyncio


class Gate:
    """Listens on a free port, and passes each connection on to `target`, a pair of host and port."""

    def __init__(self, target=None, kind=None):
        self.target, self.server, self.port = target, None, 0
        self.is_silent, self.pairs, self.kind = False, set(), kind or Pair

    async def open(self):
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: self.kind(self).near, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    def close(self):
        self.server.close()
        self.cut()

    def cut(self):
        """Ends all connections."""
        for pair in list(self.pairs):
            pair.end()

    def silence(self, is_silent):
        """Nothing gets through any more, and nothing is lost: a network that is cut and mended."""
        self.is_silent = is_silent
        for pair in list(self.pairs):
            pair.read_on()

    def turn(self, target, cut=True):
        """Passes new connections on to another server."""
        if target != self.target:
            self.target = target
            if cut:
                self.cut()


class Pair:
    """A connection of a node, and the one that it is passed on to."""

    def __init__(self, gate):
        self.gate, self.waiting, self.begun = gate, [], False
        self.near, self.far = Side(self), Side(self)
        gate.pairs.add(self)

    def read_on(self):
        if self.gate.is_silent:
            for side in self.near, self.far:
                if side.transport:
                    side.transport.pause_reading()
            return
        for side in self.near, self.far:
            if side.transport and not side.transport.is_closing():
                side.transport.resume_reading()
        if not self.begun:
            self.begun = True
            self.task = asyncio.ensure_future(self.connect())

    async def connect(self):
        try:
            host, port = self.gate.target
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: self.far, host, port)
        except (OSError, TypeError):
            self.end()
            return
        for data in self.waiting:
            self.to_far(data)
        self.waiting = []
        if self.gate.is_silent:
            self.read_on()

    def arrived(self, side, data):
        (self.to_far if side is self.near else self.to_near)(data)

    def to_far(self, data):
        if self.far.transport:
            self.far.transport.write(data)
        else:
            self.waiting.append(data)

    def to_near(self, data):
        if self.near.transport:
            self.near.transport.write(data)

    def end(self):
        self.gate.pairs.discard(self)
        for side in self.near, self.far:
            if side.transport:
                side.transport.abort()


class Side(asyncio.Protocol):
    """One of the two connections."""

    def __init__(self, pair):
        self.pair, self.transport = pair, None

    def data_received(self, data):
        self.pair.arrived(self, data)

    def connection_made(self, transport):
        self.transport = transport
        if self is self.pair.near:
            self.pair.read_on()

    def connection_lost(self, _):
        # What was still on its way is lost with it.
        self.pair.end()


class Reading(Pair):
    """Reads PostgreSQL's messages as they pass."""

    # Types of messages that the node does not get.
    withheld = b""

    def __init__(self, gate):
        super().__init__(gate)
        self.from_near, self.from_far = bytearray(), bytearray()
        self.is_started, self.owed, self.is_open, self.status = False, 0, False, b""

    @property
    def is_idle(self):
        """Whether nothing is on its way, outside of a transaction."""
        is_empty = not self.from_near and not self.from_far and not self.is_open
        return self.is_started and self.owed == 0 and is_empty and self.status == b"I"

    @property
    def is_in_transaction(self):
        return self.status == b"T"

    def arrived(self, side, data):
        if side is self.near:
            self.from_near += data
            self.note_requests()
            self.to_far(data)
        else:
            self.from_far += data
            self.to_near(self.answers())

    def note_requests(self):
        if not self.is_started and len(self.from_near) >= 4:
            # The first message has no type.
            length = int.from_bytes(self.from_near[:4])
            if len(self.from_near) < length:
                return
            del self.from_near[:length]
            self.is_started = True
        for kind, _ in messages(self.from_near):
            self.is_open = kind not in b"SQ"
            self.owed += kind in b"SQ"

    def answers(self):
        passed = bytearray()
        for kind, message in messages(self.from_far):
            if kind == b"Z":
                # The first one ends the sign-in, for which nothing was owed.
                self.owed, self.status, self.is_open = max(0, self.owed - 1), message[5:6], self.is_open and self.owed > 1
            if kind not in self.withheld or not self.withheld:
                passed += message
        return bytes(passed)


def messages(buffer):
    """Takes the whole messages off the front of a buffer: the type of each, and all of it."""
    while len(buffer) >= 5:
        length = 1 + int.from_bytes(buffer[1:5])
        if len(buffer) < length:
            return
        message = bytes(buffer[:length])
        del buffer[:length]
        yield message[:1], message


def exchange(one, other):
    """Swaps the servers of two connections, as a pooler in transaction mode does."""
    one.far, other.far = other.far, one.far
    one.far.pair, other.far.pair = one, other

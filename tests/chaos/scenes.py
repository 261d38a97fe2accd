"""Where a run takes place: three nodes before one PostgreSQL, before a pooler, or before a cluster of Patroni."""

import asyncio
import time

from people import Admin, Person, World
from record import History
from servers import Cluster, Node, Place, Pooler, Postgres, until
from wire import Gate, Reading

NODES = 3
ADMIN = "a password of an admin"


class Scene:
    """Servers, nodes and virtual users, from the start to the last check."""

    name, needs = "", ()

    def __init__(self, options, bounds):
        self.options, self.bounds = options, bounds
        self.place, self.gates, self.nodes = Place(), [], []
        self.history = History(NODES, bounds)
        self.tasks = []

    @property
    def url_parameters(self):
        return [""] * NODES

    databases = ["postgres"] * NODES

    async def open_store(self):
        raise NotImplementedError

    def gate(self):
        return Gate(kind=Reading)

    async def plant(self):
        """Plants a fault once everybody is there."""

    async def settled(self):
        """Waits until a further fault may come."""

    async def open(self):
        self.gates = [await self.gate().open() for _ in range(NODES)]
        await self.open_store()
        settings = {
            "password.algorithm": "argon2id",
            "throttle.enabled": False,
            "access.ttl": f"{self.bounds.access_ttl:g}s",
            "revocations.stale_after": f"{self.bounds.stale_after:g}s",
            "http.head_timeout": "120s",
            "log.format": "text",
            **self.options.settings,
        }
        for number in range(NODES):
            more = self.url_parameters[number]
            place = f"127.0.0.1:{self.gates[number].port}/{self.databases[number]}"
            url = f"postgres://doorward:x@{place}?sslmode=disable{more}"
            self.nodes.append(Node(self.place, number, url, settings))
        for number in range(NODES):
            await self.nodes[0].run("user", "create", "--role", "admin", "--name", "admin", "--email", f"admin{number}@example.org", "--password-stdin")
        await self.before_nodes()
        for node in self.nodes:
            node.start()
            await node.ready()
        self.world = World(self.history, [node.port for node in self.nodes], self.options.random)
        self.world.pause, self.world.looks = self.options.pause, self.options.looks
        self.world.renew_after = self.bounds.access_ttl - 3
        self.people = [Person(self.world) for _ in range(self.options.users)]
        self.admins = [Admin(self.world, number, f"admin{number}@example.org", ADMIN) for number in range(NODES)]
        await asyncio.gather(*(admin.make_subjects(2) for admin in self.admins))

    async def before_nodes(self):
        """What is planted in the store before the nodes start."""

    async def keep_watch(self):
        """Notes when the run itself stands still."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.05)
            if time.monotonic() - before > 0.3:
                self.history.stalls.append((before, time.monotonic()))

    def begin(self):
        self.watch = asyncio.ensure_future(self.keep_watch())
        for person in self.people:
            self.tasks.append(asyncio.ensure_future(person.live()))
        for admin in self.admins:
            for slot in range(2):
                self.tasks.append(asyncio.ensure_future(admin.probe(slot, self.options.probe_pause)))
        self.tasks.append(asyncio.ensure_future(self.admins[0].give_roles(self.people, self.options.role_pause)))

    async def until_all_live(self):
        async def holds():
            self.raise_if_failed()
            return all(person.is_known for person in self.people)

        return await until(holds, 120, "not everybody could register")

    def raise_if_failed(self):
        for task in self.tasks:
            if task.done() and task.exception():
                raise task.exception()

    async def finish(self):
        """Everybody stops, and what was acknowledged is looked for."""
        self.world.is_over = True
        await asyncio.gather(*self.tasks)
        await asyncio.sleep(self.bounds.elsewhere)
        everybody = asyncio.Semaphore(12)

        async def settle(person):
            async with everybody:
                await person.settle()
                if person.id:
                    await self.admins[0].read_role(person.name, person.id, self.world.node(), final=True)

        await asyncio.gather(*map(settle, self.people))

    async def close(self):
        for task in [*self.tasks, self.watch] if hasattr(self, "watch") else []:
            task.cancel()
        for one in [*getattr(self, "people", []), *getattr(self, "admins", [])]:
            one.close()
        for gate in self.gates:
            gate.close()
        await asyncio.to_thread(self.place.close)

    def recovered_at(self, node, since):
        """When this node wrote again after `since`, and went on; None as long as it has not."""
        probes = [e for e in self.history.events if e.act == "role" and e.node == node and e.user.startswith("subject")]
        failed = [e.sent_at for e in probes if e.outcome != "ok" and e.sent_at >= since and e.status != 401]
        after = max(failed, default=since)
        good = [e.answered_at for e in probes if e.outcome == "ok" and e.answered_at >= since and e.sent_at >= after - 0.001 * (not failed)]
        if not failed:
            good = [e.answered_at for e in probes if e.outcome == "ok" and e.answered_at >= since]
        return min(good, default=None)

    async def recover(self, fault, patience):
        """Waits until all nodes write again."""
        begun_at = time.monotonic()
        while True:
            self.raise_if_failed()
            fault.recovered_at = [self.recovered_at(node, since) for node, since in enumerate(fault.healed_at)]
            if None not in fault.recovered_at or time.monotonic() - begun_at > patience:
                break
            await asyncio.sleep(0.1)


class Plain(Scene):
    """One PostgreSQL."""

    name, needs = "one PostgreSQL", ("postgresql",)

    async def open_store(self):
        self.store = Postgres(self.place)
        await self.store.make()
        self.store.start()
        await self.store.ready()
        for gate in self.gates:
            gate.target = self.store.address


class Pooled(Plain):
    """pgbouncer between: two nodes share its connections in transaction mode, the third has its own in session mode."""

    name, needs = "behind pgbouncer", ("postgresql", "pgbouncer")
    databases = ["shared", "shared", "direct"]
    url_parameters = ["&pgbouncer=true", "&pgbouncer=true", ""]

    async def open_store(self):
        await super().open_store()
        self.pooler = Pooler(self.place, self.store.port)
        self.pooler.start()
        await self.pooler.ready()
        for gate in self.gates:
            gate.target = "127.0.0.1", self.pooler.port


class Failover(Scene):
    """Patroni's cluster with a synchronous standby."""

    name, needs = "Patroni, synchronous", ("postgresql", "patroni", "etcd-server")
    synchronous = True

    async def open_store(self):
        self.replication = [await Gate().open() for _ in range(2)]
        self.store = Cluster(self.place, self.synchronous, self.replication)
        await self.store.make()
        # Whether connections to a primary that was replaced are cut, for each node.
        self.cuts = [True] * NODES
        await self.follow_leader()
        self.following = asyncio.ensure_future(self.keep_following())

    async def follow_leader(self):
        leader = await self.store.leader()
        if leader is not None:
            for number, gate in enumerate(self.gates):
                gate.turn(("127.0.0.1", self.store.ports[leader]), self.cuts[number])
        return leader

    async def keep_following(self):
        """What a proxy does that asks Patroni for the primary."""
        while True:
            await self.follow_leader()
            await asyncio.sleep(0.1)

    async def settled(self):
        await self.store.whole()

    async def finish(self):
        await super().finish()
        self.following.cancel()

    async def close(self):
        if hasattr(self, "following"):
            self.following.cancel()
        for gate in getattr(self, "replication", []):
            gate.close()
        await super().close()


class LossyFailover(Failover):
    """Patroni's cluster without a synchronous standby: a failover may lose the last commits."""

    name = "Patroni, asynchronous"
    synchronous = False

"""The faults. Each is a function that makes it, heals it, and says which nodes it touches and since when they are well."""

import asyncio
import signal
import time

from record import Fault
from scenes import NODES, Failover, LossyFailover, Plain, Pooled
from servers import Unready, faketime, tell, until

now = time.monotonic


def fault(name, *scenes, seconds, short=(), clock=False):
    """Registers a fault for these scenes; a short run makes it in those of `short` only. `seconds` is about how long it
    lasts. With `clock` it needs libfaketime."""

    def registered(make):
        FAULTS.append(Kind(name, scenes, seconds, short, clock, make))
        return make

    return registered


class Kind:
    def __init__(self, name, scenes, seconds, short, clock, make):
        self.name, self.scenes, self.seconds, self.make = name, scenes, seconds, make
        self.short, self.clock = short, clock

    async def happen(self, scene):
        """Makes it and waits until all nodes write again."""
        one = Fault(self.name, now())
        scene.history.faults.append(one)
        await self.make(scene, one)
        if scene.history.faults[-1] is one:
            await scene.recover(one, 60)
        return one


FAULTS = []


def only(one, touched, healed_at):
    """The fault touches these nodes alone; all others have to work all the time."""
    one.healed_at = [healed_at if node in touched else one.began_at for node in range(NODES)]
    one.blind = list(touched)


def everywhere(one, healed_at):
    one.healed_at, one.blind = [healed_at] * NODES, list(range(NODES))


def some_node(scene):
    return scene.options.random.randrange(NODES)


@fault("node killed", Plain, Pooled, Failover, seconds=2, short=[Plain])
async def kill_node(scene, one):
    node = some_node(scene)
    await scene.nodes[node].kill()
    scene.nodes[node].start()
    only(one, [node], now())
    await scene.nodes[node].ready()


@fault("node told to stop", Plain, seconds=3)
async def stop_node(scene, one):
    node = some_node(scene)
    await scene.nodes[node].kill(signal.SIGTERM)
    scene.nodes[node].start()
    only(one, [node], now())
    await scene.nodes[node].ready()


async def frozen(scene, one, seconds):
    node = some_node(scene)
    # In the middle of a transaction, if it has one that waits: then it may hold what others need.
    until = now() + 2
    while now() < until and not any(pair.is_in_transaction for pair in scene.gates[node].pairs):
        await asyncio.sleep(0)
    scene.nodes[node].freeze(True)
    one.began_at = now()
    # Before it: the others have to work while it stands still.
    only(one, [node], one.began_at + seconds)
    await asyncio.sleep(seconds)
    scene.nodes[node].freeze(False)
    only(one, [node], now())


@fault("node stands still for 2 s", Plain, Pooled, seconds=3)
async def freeze_shortly(scene, one):
    await frozen(scene, one, 2)


@fault("node stands still for 8 s", Plain, seconds=9, short=[Plain])
async def freeze(scene, one):
    await frozen(scene, one, 8)


@fault("node stands still for longer than a revocation is kept", Plain, Failover, seconds=80)
async def freeze_long(scene, one):
    # The store is swept once a minute.
    await frozen(scene, one, scene.bounds.kept + 62)


async def another_clock(scene, one, offset):
    node = some_node(scene)
    one.note = f"node {node} at {offset}"
    await scene.nodes[node].kill()
    scene.nodes[node].start(offset)
    only(one, [node], now())
    await scene.nodes[node].ready()
    await asyncio.sleep(10)
    await scene.nodes[node].kill()
    scene.nodes[node].start()
    only(one, [node], now())
    await scene.nodes[node].ready()


for offset in "+40m", "-40m", "+1d", "-1d":

    @fault(f"clock of a node off by {offset}", Plain, seconds=12, clock=True)
    async def clock(scene, one, offset=offset):
        await another_clock(scene, one, offset)


@fault("clock of a node jumps by an hour and back", Plain, seconds=16, clock=True)
async def clock_jumps(scene, one):
    node = some_node(scene)
    file = scene.place.folder / "clock"
    file.write_text("+0\n")
    await scene.nodes[node].kill()
    scene.nodes[node].start(file)
    await scene.nodes[node].ready()
    for offset in "+1h", "-1h", "+0":
        file.write_text(f"{offset}\n")
        await asyncio.sleep(4)
    await scene.nodes[node].kill()
    scene.nodes[node].start()
    only(one, [node], now())
    await scene.nodes[node].ready()


async def restarted(scene, one, number, seconds=0):
    await scene.store.stop(number)
    await asyncio.sleep(seconds)
    scene.store.start()
    await scene.store.ready()
    everywhere(one, now())


@fault("PostgreSQL restarted", Plain, Pooled, seconds=2, short=[Pooled])
async def restart_store(scene, one):
    await restarted(scene, one, signal.SIGINT)


@fault("PostgreSQL killed", Plain, seconds=2, short=[Plain])
async def kill_store(scene, one):
    await restarted(scene, one, signal.SIGKILL)


@fault("PostgreSQL down for 3 s", Plain, seconds=5)
async def stop_store(scene, one):
    await restarted(scene, one, signal.SIGQUIT, 3)


@fault("PostgreSQL down for longer than `stale_after`", Plain, seconds=12)
async def stop_store_long(scene, one):
    await restarted(scene, one, signal.SIGINT, scene.bounds.stale_after + 4)


async def store_frozen(scene, one, seconds):
    scene.store.freeze(True)
    await asyncio.sleep(seconds)
    scene.store.freeze(False)
    everywhere(one, now())


@fault("PostgreSQL stands still for 2 s", Plain, Pooled, seconds=3)
async def freeze_store(scene, one):
    await store_frozen(scene, one, 2)


@fault("PostgreSQL stands still for 9 s", Plain, seconds=10)
async def freeze_store_long(scene, one):
    await store_frozen(scene, one, 9)


@fault("connections cut for 3 s", Plain, Pooled, Failover, seconds=4, short=[Pooled])
async def cut(scene, one):
    for _ in range(12):
        for gate in scene.gates:
            gate.cut()
        await asyncio.sleep(0.25)
    everywhere(one, now())


async def cut_off(scene, one, seconds):
    node = some_node(scene)
    scene.gates[node].silence(True)
    only(one, [node], one.began_at + seconds)
    await asyncio.sleep(seconds)
    scene.gates[node].silence(False)
    only(one, [node], now())


@fault("one node cut off for 2 s", Plain, Failover, seconds=3, short=[Plain])
async def cut_off_shortly(scene, one):
    await cut_off(scene, one, 2)


@fault("one node cut off for longer than `stale_after`", Plain, Pooled, seconds=12)
async def cut_off_long(scene, one):
    await cut_off(scene, one, scene.bounds.stale_after + 6)


@fault("pgbouncer killed", Pooled, seconds=2, short=[Pooled])
async def kill_pooler(scene, one):
    await scene.pooler.kill()
    scene.pooler.start()
    await scene.pooler.ready()
    everywhere(one, now())


async def led_by(scene, one, old, killed_at):
    """Waits until the other member is the primary."""

    async def holds():
        return await scene.store.leader() == 1 - old

    await until(holds, 60, "Patroni made no primary", Unready)
    one.note = f"Patroni took {now() - killed_at:.1f} s"
    everywhere(one, now())


async def lost_primary(scene, one):
    old = await scene.store.leader()
    killed_at = now()
    await scene.store.kill(old)
    await led_by(scene, one, old, killed_at)
    return old


@fault("primary lost", Failover, seconds=8, short=[Failover])
async def lose_primary(scene, one):
    old = await lost_primary(scene, one)
    await scene.recover(one, 60)
    scene.store.start(old)


@fault("planned change of the primary", Failover, seconds=6)
async def switch_primary(scene, one):
    old = await scene.store.leader()
    status, said = await scene.store.switch(old)
    if status != 200:
        raise Unready(f"error: Patroni refused to change the primary: {status} {said}")
    await led_by(scene, one, old, one.began_at)


@fault("primary stands still, is replaced and comes back", Failover, seconds=16)
async def freeze_primary(scene, one):
    old = await scene.store.leader()
    pids = scene.store.pids(old)
    tell(pids, signal.SIGSTOP)
    await led_by(scene, one, old, one.began_at)
    await scene.recover(one, 60)
    await thawed(scene, pids, old)


@fault("primary is replaced, and one node keeps its connections to the old one", Failover, seconds=16)
async def old_connections(scene, one):
    old, node = await scene.store.leader(), some_node(scene)
    scene.cuts[node] = False
    patroni = scene.store.patroni[old].pid
    tell([patroni], signal.SIGSTOP)
    await led_by(scene, one, old, one.began_at)
    # Until then the old one was the primary.
    one.blind_since, one.apart = now(), node
    one.note += f"; node {node} kept its connections"
    await scene.recover(one, 60)
    await thawed(scene, [patroni], old)
    scene.cuts[node] = True


async def thawed(scene, pids, old):
    """Lets the old primary's Patroni go on. Without a watchdog, which resets a machine whose Patroni stands still, it may
    take the lead again by a request that it had begun before: then the commits of the new primary are lost."""
    two = Fault("the old primary leads again, as its Patroni has no watchdog", now(), loses=True)
    tell(pids, signal.SIGCONT)
    try:
        await scene.settled()
    finally:
        if await scene.store.leader() == old:
            scene.history.faults.append(two)
            everywhere(two, now())
            await scene.recover(two, 60)


@fault("primary lost with its last commits", LossyFailover, seconds=12, short=[LossyFailover])
async def lose_commits(scene, one):
    one.loses = True
    old = await scene.store.leader()
    # The standby gets nothing any more.
    scene.replication[old].silence(True)
    await asyncio.sleep(2)
    await lost_primary(scene, one)
    await scene.recover(one, 60)
    scene.replication[old].silence(False)
    scene.store.start(old)


def kinds_for(scene, is_long):
    """The faults that this run makes in this scene."""
    kinds = [kind for kind in FAULTS if type(scene) in (kind.scenes if is_long else kind.short)]
    return [kind for kind in kinds if faketime() or not kind.clock]

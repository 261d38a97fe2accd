"""Faults under load, and a checker that holds every answer against what Doorward promises.

Usage: run.py [--seconds N] [--long] [--seed N] [--users N] [--busy N] [--scene NAME]… [--fault WORDS] [--plant NAME]

Three nodes serve virtual users over HTTP while servers are killed, stopped, cut off and replaced. Every request is
recorded with its answer. Afterwards a checker proves over the record: every acknowledged registration, password and role
is there; nothing was accepted after its acknowledged end and the stated bound; a refresh token has one successor; nobody
was signed out who did not ask for it. The same seed makes the same faults in the same order.
"""

import argparse
import asyncio
import collections
import os
import random
import signal
import statistics
import sys
import time
from pathlib import Path

import checker
import faults
import plants
from record import Bounds
from scenes import Failover, LossyFailover, Plain, Pooled
from servers import Unready, faketime, what_is_missing

SCENES = {"failover": Failover, "plain": Plain, "pooled": Pooled, "lossy": LossyFailover}
SHORT = "failover", "plain", "pooled"
# How much of a long run each scene gets, in turns of so many seconds.
TURNS = {"plain": 300, "pooled": 120, "failover": 180, "lossy": 90}
REFERENCE = Path(__file__).resolve().parents[2] / "docs/reference/settings.md"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="also the faults that take long, in turns until the time is over")
    parser.add_argument("--seconds", type=int, default=3600, help="how long with --long: an hour, if nothing else is said")
    parser.add_argument("--seed", type=int, default=None, help="as a former run printed it")
    parser.add_argument("--users", type=int, default=None, help="how many virtual users")
    parser.add_argument("--busy", type=float, default=Bounds.busy, help="seconds that a busy machine may add to each step")
    parser.add_argument("--scene", action="append", choices=SCENES, help="only this one")
    parser.add_argument("--fault", default="", help="only faults whose name has these words")
    parser.add_argument("--plant", choices=plants.PLANTS, help="plants a fault that the checker has to find")
    options = parser.parse_args()
    options.seed = options.seed if options.seed is not None else random.randrange(1 << 32)
    options.random = random.Random(options.seed)
    options.users = options.users or (200 if options.long else 20)
    # A pause between the acts of one user, and between those that show whether a node writes.
    options.pause, options.looks = (1.5, 4) if options.long else (0.8, 2)
    options.probe_pause, options.role_pause = 0.4, 0.5
    options.settings = {}
    if "`revocations.margin`" in REFERENCE.read_text():
        options.settings["revocations.margin"] = f"{Bounds().margin:g}s"
    return options


class Tally:
    """What is printed for each kind of fault."""

    def __init__(self):
        self.rows, self.violations, self.lost, self.requests = {}, [], {}, 0

    def add(self, scene, found, lost):
        history = scene.history
        self.requests += len(history.events)
        self.violations += found
        for kind, number in lost.items():
            self.lost[kind] = self.lost.get(kind, 0) + number
        starts = [one.began_at for one in history.faults]
        for at, one in enumerate(history.faults):
            until = starts[at + 1] if at + 1 < len(starts) else float("inf")
            row = self.rows.setdefault((scene.name, one.name), {"times": 0, "requests": 0, "violations": 0, "recovery": [], "notes": []})
            row["times"] += 1
            row["requests"] += sum(one.began_at <= event.sent_at < until for event in history.events)
            row["violations"] += sum(one.began_at <= violation.at < until for violation in found)
            both = zip(one.healed_at, one.recovered_at)
            row["recovery"] += [max((after - since for since, after in both if after is not None), default=0)]
            row["notes"] += [one.note] if one.note else []

    def show(self):
        print(f"\n{'scene':22} {'fault':62} {'times':>5} {'requests':>8} {'violations':>10} {'recovery p50':>12} {'max':>7}")
        for (scene, name), row in self.rows.items():
            p50, longest = statistics.median(row["recovery"]), max(row["recovery"])
            line = f"{scene:22} {name:62} {row['times']:5} {row['requests']:8} {row['violations']:10} {p50:10.2f} s {longest:5.2f} s"
            print(line + (f"  ({row['notes'][-1]})" if row["notes"] else ""))
        if self.lost:
            print("lost by failovers without a synchronous standby: " + ", ".join(f"{number} {kind}" for kind, number in self.lost.items()))
        kinds = collections.Counter(violation.kind for violation in self.violations)
        said = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
        print(f"{self.requests} requests, {len(self.violations)} violations{said and f': {said}'}")


async def play(kind, options, seconds, tally):
    """One scene: faults one after the other until its time is over."""
    began_at = time.monotonic()
    scene = kind(options, Bounds(busy=options.busy))
    try:
        await scene.open()
        scene.begin()
        await scene.until_all_live()
        await scene.plant()
        print(f"{scene.name}: {options.users} users after {time.monotonic() - began_at:.1f} s", flush=True)
        until = time.monotonic() + seconds
        is_whole = await happen(scene, order(scene, options, until), began_at)
        if options.plant:
            await asyncio.sleep(seconds)
        await asyncio.sleep(1)
        await scene.finish()
        found, lost = await asyncio.to_thread(checker.check, scene.history)
        tally.add(scene, found, lost)
        if (found or not is_whole) and not options.plant:
            await asyncio.to_thread(keep, scene, options, found)
    finally:
        await scene.close()


async def happen(scene, kinds, began_at):
    """The faults of a scene. False if Patroni did not do its part; the scene then ends."""
    try:
        for one in kinds:
            await asyncio.sleep(1)
            done = await one.happen(scene)
            took = max((after - since for since, after in zip(done.healed_at, done.recovered_at) if after), default=0)
            said = f"  {time.monotonic() - began_at:6.1f} s  {scene.name}: {one.name}: well after {took:.2f} s. {done.note}"
            print(said, flush=True)
            await scene.settled()
    except Unready as why:
        print(f"  {scene.name}: {why}; it ends here")
        return False
    return True


def order(scene, options, until):
    """The faults of a scene: in a short run each once, in a long run in any order until the time is over."""
    kinds = [one for one in faults.kinds_for(scene, options.long) if options.fault in one.name]
    if not options.long:
        yield from kinds
        return
    while fitting := [one for one in kinds if time.monotonic() + one.seconds < until]:
        yield options.random.choice(fitting)


def keep(scene, options, found):
    """Keeps the record and the logs of a scene with violations."""
    folder = Path("target/chaos") / f"{options.seed}-{type(scene).__name__.lower()}-{int(time.time())}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "violations.txt").write_text("\n\n".join(map(str, found)) + "\n")
    lines = [f"{one.began_at:9.3f}  {one.name}: {one}" for one in scene.history.faults]
    (folder / "faults.txt").write_text("\n".join(lines) + "\n")
    events = sorted(scene.history.events, key=lambda event: event.sent_at)
    (folder / "events.txt").write_text("\n".join(map(str, events)) + "\n")
    for log in scene.place.folder.glob("*.log"):
        (folder / log.name).write_bytes(log.read_bytes()[-2_000_000:])
    print(f"  the record and the logs are in {folder}")


async def main():
    # So that nothing is left running.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    options = arguments()
    print(f"seed {options.seed}")
    kinds = [plants.PLANTS[options.plant]] if options.plant else [SCENES[name] for name in options.scene or (SCENES if options.long else SHORT)]
    for kind in list(kinds):
        if missing := what_is_missing(*kind.needs):
            print(f"SKIPPED: {kind.name}. It needs Debian's packages {' '.join(missing)}")
            kinds.remove(kind)
    if options.long and not faketime():
        print("SKIPPED: clocks that are apart. They need Debian's package libfaketime")
    tally, until = Tally(), time.monotonic() + options.seconds
    if options.long:
        names = {kind: name for name, kind in SCENES.items()}
        while kinds and time.monotonic() < until:
            for kind in kinds:
                left = until - time.monotonic()
                if left > 30:
                    await play(kind, options, min(left, TURNS[names[kind]]), tally)
            if until - time.monotonic() <= 30:
                break
    else:
        # They mostly wait, so they take place at once.
        await asyncio.gather(*(play(kind, options, 8, tally) for kind in kinds))
    tally.show()
    for violation in tally.violations[:10]:
        print(f"\n{violation}")
    if options.plant:
        print("\nThe planted fault was found." if tally.violations else "\nThe planted fault was NOT found.")
        return 0 if tally.violations else 1
    if tally.violations:
        print(f"\nTo repeat it: python3 {os.path.relpath(__file__)} {' '.join(sys.argv[1:])} --seed {options.seed}")
    return 1 if tally.violations else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

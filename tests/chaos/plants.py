"""Faults that are planted outside of the program, to show that the checker finds them. The program has no switch for
them: they are in the store that a node sees, and in the connections to it."""

import asyncio

from scenes import Plain
from wire import exchange

# The node that does not see what others ended, through views in a schema that it searches first.
BLINKERED = 2
TABLES = "revocations", "least_versions"


class Blinkered(Plain):
    """One node reads the tables of endings through views."""

    url_parameters = ["", "", "&options=-csearch_path%3Dplanted,public"]

    async def before_nodes(self):
        await self.store.query("CREATE SCHEMA planted")
        for table in TABLES:
            await self.show(table, "true")

    async def show(self, table, condition):
        await self.store.query(f"CREATE OR REPLACE VIEW planted.{table} AS SELECT * FROM public.{table} WHERE {condition}")


class NotFollowing(Blinkered):
    name = "planted: a node that does not follow"

    async def plant(self):
        for table in TABLES:
            await self.show(table, "false")


class LaneSkipped(Blinkered):
    name = "planted: a lane that a node skips"

    async def plant(self):
        # That of the first node, which has been there longest; the commands before it ended nothing.
        pid = self.nodes[0].process.pid
        lane = await self.store.query(f"SELECT id FROM lanes WHERE owner LIKE '% {pid}'")
        for table in TABLES:
            await self.show(table, f"lane <> {lane}")


class NamesShared(Plain):
    """Connections of two nodes swap their servers between transactions, after they have proven that they have their own."""

    name = "planted: names of statements that nodes share"

    async def plant(self):
        self.swapping = asyncio.ensure_future(self.swap())

    async def swap(self):
        while True:
            pairs = [[pair for pair in gate.pairs if pair.is_idle] for gate in self.gates[:2]]
            for one, other in zip(*pairs):
                exchange(one, other)
            await asyncio.sleep(0.2)

    async def close(self):
        if hasattr(self, "swapping"):
            self.swapping.cancel()
        await super().close()


PLANTS = {"following": NotFollowing, "lane": LaneSkipped, "names": NamesShared}

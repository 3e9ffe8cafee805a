"""Several consumers of one group in one process: while one waits for the database, another computes."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from shared.consumer.consumer import Consumer


@dataclass(frozen=True, slots=True)
class Lanes:
    """A Runner of consumers, each a member of its own: with its own partitions and transactions."""

    consumers: Sequence[Consumer]

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop`; the first lane that raises ends the others and is raised."""
        lanes = [asyncio.create_task(consumer.run(stop)) for consumer in self.consumers]
        try:
            ended, _ = await asyncio.wait(lanes, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for lane in lanes:
                lane.cancel()
            # Each lane gives its partitions up before it ends.
            await asyncio.wait(lanes)
        # What ended the others first: a lane that is cancelled may fail as well, of less interest.
        for lane in (*ended, *lanes):
            if not lane.cancelled():
                lane.result()

"""The port's `Subscription` on Kafka: a membership, and another one whenever that has come to grief."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.bus.kafka.member import Damaged, Member, join
from shared.bus.kafka.options import KafkaOptions
from shared.bus.port import BusUnavailable, Fetched, Partition


class KafkaSubscription:
    """A member of `group` for as long as it is polled.

    The library keeps a membership by tasks of its own. Where one of them ends by a fault, even a passing one
    of the coordinator's, it is not started again, and every poll from then on gives that fault. So a member
    that failed is left behind, and the next poll joins anew; whatever it had been dealt, the new one has only
    once it is dealt again.
    """

    def __init__(
        self, options: KafkaOptions, group: str, topics: Sequence[str], client: str, heads: Any
    ) -> None:
        self._options = options
        self._group = group
        self._topics = topics
        self._client = client
        self._heads = heads
        self._member: Member | None = None
        self.ended = False

    @property
    def assigned(self) -> frozenset[Partition]:
        """The partitions dealt to this member, as of its last poll."""
        return frozenset() if self._member is None else self._member.assigned

    async def join(self) -> None:
        """Become a member of the group; raise BusUnavailable."""
        self._member = await join(self._options, self._group, self._topics, self._client, self._heads)

    async def poll(
        self, positions: Mapping[Partition, int], *, max_records: int, timeout_seconds: float
    ) -> Sequence[Fetched]:
        """Return what lies at `positions`, joining anew where the last poll failed."""
        if self._member is None:
            await self.join()
            return ()
        try:
            return await self._member.poll(
                positions, max_records=max_records, timeout_seconds=timeout_seconds
            )
        except Damaged:
            raise
        except BusUnavailable:
            await self._drop()
            raise

    async def leave(self) -> None:
        """Leave the group, so that the others need not wait for the session to end. Done once."""
        self.ended = True
        await self._drop()

    async def _drop(self) -> None:
        member, self._member = self._member, None
        if member is not None:
            await member.leave()

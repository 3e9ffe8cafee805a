"""The bus contract on the memory adapter."""

from collections.abc import Sequence

import pytest

from shared.bus.memory import MemoryBus
from tests.contracts.bus.harness import TOPIC
from tests.contracts.bus.port_suite import BusContract


class MemoryHarness:
    """The memory bus is its own log; every handle is the same object."""

    def __init__(self) -> None:
        self.bus = MemoryBus()

    async def another(self) -> MemoryBus:
        return self.bus

    async def crash(self, group: str, member: str) -> None:
        self.bus.expire(group, member)

    async def cut(self) -> None:
        self.bus.available = False

    async def trim(self) -> Sequence[str]:
        return self.bus.trim_passed(TOPIC)


@pytest.fixture
def harness() -> MemoryHarness:
    return MemoryHarness()


class TestMemoryBus(BusContract):
    """Inherits the whole contract."""

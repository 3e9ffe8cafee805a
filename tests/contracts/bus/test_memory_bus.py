"""The bus contract on the memory adapter."""

import pytest

from tests.contracts.bus.adapters import MemoryHarness
from tests.contracts.bus.port_suite import BusContract, TrimContract


@pytest.fixture
def harness() -> MemoryHarness:
    return MemoryHarness()


class TestMemoryBus(BusContract, TrimContract):
    """Inherits the whole contract."""

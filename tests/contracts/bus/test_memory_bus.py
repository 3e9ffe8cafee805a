"""The bus contract on the memory adapter."""

import pytest

from tests.contracts.bus.adapters import MemoryHarness
from tests.contracts.bus.port_suite import BusContract


@pytest.fixture
def harness() -> MemoryHarness:
    return MemoryHarness()


class TestMemoryBus(BusContract):
    """Inherits the whole contract."""

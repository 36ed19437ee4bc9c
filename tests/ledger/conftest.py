"""The workbench of the ledger's tests, on each backend in turn."""

import pytest
from clocks import Clock
from workbench import Workbench

from roark_ledger.ledger import Ledger


@pytest.fixture
def bench(ledger: Ledger, clock: Clock) -> Workbench:
    return Workbench(ledger, clock)


@pytest.fixture
def real_bench(real_ledger: Ledger, clock: Clock) -> Workbench:
    """The same, on real servers only."""
    return Workbench(real_ledger, clock)

"""The road of the flow's tests, on each backend in turn."""

from collections.abc import Callable

import pytest
from clocks import Clock
from road import Road

from roark_ledger.flow import FlowRules
from roark_ledger.ledger import Ledger

RULES = FlowRules(ceiling=64, least=4, window_ms=30_000, share=0.5, cooldown_ms=5_000, longest_cooldown_ms=60_000)


@pytest.fixture
def road(ledger: Ledger, clock: Clock) -> Road:
    """A road with a breaker that opens after 4 failures, and a fixed level."""
    return Road(ledger, clock, RULES)


@pytest.fixture
def road_with(ledger: Ledger, clock: Clock) -> Callable[..., Road]:
    """Make a road with other rules."""
    return lambda **rules: Road(ledger, clock, FlowRules(**rules))

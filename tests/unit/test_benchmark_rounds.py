"""What the benchmarks make of several rounds: medians of what was measured, and the rest as it is."""

from pathlib import Path
from typing import Any

import pytest
from benchmarks import parts
from benchmarks.parts import Plan


def plan(rounds: int) -> Plan:
    here = Path()
    return Plan(pool=here, peers=here, quick=False, rounds=rounds, seconds=1, largest=1000, latencies=(100,), known=())


def row(cpu_ms: float) -> dict[str, Any]:
    return {"name": "one", "latency_ms": 100, "cpu_ms": cpu_ms, "from_accept_ms": {"p50": cpu_ms, "count": 5}}


@pytest.mark.parametrize(("measured", "median"), [([3], 3), ([3, 4], 3.5), ([9, 3, 4], 4)])
def test_rounds_become_their_median_and_settings_stay(measured: list[float], median: float) -> None:
    left = list(measured)

    (found,) = parts._rounds(plan(len(measured)), ["one"], lambda _: row(left.pop()))

    assert found == row(median)
    assert isinstance(found["latency_ms"], int)


def test_a_round_that_fails_is_told_and_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "FAILED", [])
    left: list[float] = [3, 4]

    def measured(name: str) -> dict[str, Any]:
        if name == "bad":
            raise OSError("no such program")
        return row(left.pop())

    assert parts._rounds(plan(2), ["bad", "one"], measured) == [row(3.5)]
    assert parts.FAILED == ["bad: OSError", "bad: OSError"]

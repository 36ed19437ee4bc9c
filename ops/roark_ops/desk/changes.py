"""What changed before reports began to die: the workers' version, settings or token, or their starts. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from roark_ledger.records.setup import Setup

_BEFORE_MS, _AFTER_MS = 1_800_000, 60_000


@dataclass(frozen=True, slots=True)
class SetupChange:
    """Something about the workers that changed; `at_ms` is Unix time by Redis's clock."""

    at_ms: int
    what: str


def changes(setups: Sequence[Setup]) -> list[SetupChange]:
    """Return everything that changed, the oldest first."""
    found = [
        SetupChange(after.first_ms, what) for before, after in pairwise(setups) for what in _differences(before, after)
    ]
    found += [SetupChange(setup.latest_ms, "workers started") for setup in setups if setup.starts]
    return sorted(found, key=lambda change: change.at_ms)


def before(all_changes: Sequence[SetupChange], first_ms: int) -> tuple[SetupChange, ...]:
    """Return what changed in the half hour before `first_ms`, and in the minute after it: workers need not agree."""
    return tuple(change for change in all_changes if first_ms - _BEFORE_MS <= change.at_ms <= first_ms + _AFTER_MS)


def _differences(before: Setup, after: Setup) -> Iterator[str]:
    if before.version != after.version:
        yield f"version: {before.version} → {after.version}"
    if before.token != after.token:
        yield "Roark's token was changed"
    for name in sorted(before.settings.keys() | after.settings.keys()):
        old, new = before.settings.get(name, "default"), after.settings.get(name, "default")
        if old != new:
            yield f"{name}: {old} → {new}"

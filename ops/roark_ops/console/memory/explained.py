"""What groups of dead letters mean, kept for a while: to say it takes a look at some of their reports."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from roark_ops.desk.dead_letters import DeadLetters
from roark_ops.desk.grouping import Group
from roark_worker.answers.explain import Explanation

_KEPT_SECONDS = 30.0
_RESTS = 20
"""While letters come in, explaining may take a twentieth of the time."""
_MOST = 500


@dataclass(frozen=True, slots=True)
class _Kept:
    group: tuple[object, ...]
    due: float
    over: float
    found: Explanation


class Explained:
    """The explanations of this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    def of(self, desk: DeadLetters, group: Group) -> Explanation:
        """Return what a group means, as of some seconds ago where its letters change.

        Raises LedgerUnavailable when Redis has to be asked and is away.
        """
        now, kept = self._clock(), self._kept.get(group.name)
        is_same = kept is not None and kept.group == _of(group)
        if kept and now < (kept.over if is_same else kept.due):
            return kept.found
        found = desk.explain(group)
        ended = self._clock()
        if len(self._kept) >= _MOST:
            self._kept = {name: each for name, each in self._kept.items() if each.over > ended}
        self._kept[group.name] = _Kept(_of(group), ended + _RESTS * (ended - now), ended + _KEPT_SECONDS, found)
        return found


def _of(group: Group) -> tuple[object, ...]:
    return group.count, group.edited, group.examples

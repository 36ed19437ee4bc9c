"""What groups of dead letters mean, kept for half a minute: to say it takes a look at some of their reports."""

import time
from collections.abc import Callable

from roark_ops.desk.dead_letters import DeadLetters
from roark_ops.desk.grouping import Group
from roark_worker.answers.explain import Explanation

_KEPT_SECONDS = 30.0
_MOST = 500


class Explained:
    """The explanations of this process. A group is explained anew when other letters are its latest."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[tuple[object, ...], tuple[float, Explanation]] = {}

    def of(self, desk: DeadLetters, group: Group) -> Explanation:
        """Return what a group means. Raises LedgerUnavailable when that is to be asked and Redis is away."""
        key, now = (group.name, group.count, group.edited, group.examples), self._clock()
        until, found = self._kept.get(key, (0.0, None))
        if found is None or now > until:
            found = desk.explain(group)
            if len(self._kept) >= _MOST:
                self._kept = {each: kept for each, kept in self._kept.items() if kept[0] > now}
            self._kept[key] = now + _KEPT_SECONDS, found
        return found

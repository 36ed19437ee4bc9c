"""What a group means is kept for a while, and told anew when its letters are others and that is worth its time."""

from dataclasses import replace
from typing import Any, cast

from roark_ops.console.memory.explained import Explained
from roark_ops.desk.grouping import Group
from roark_worker.answers.explain import explain

GROUP = Group("3f9a", "http_422", 422, "no", "endedAt", "", "", 12, 1, 2, "c-12", examples=("c-11", "c-12"))


class SlowDesk:
    """Takes so long to explain a group."""

    def __init__(self, seconds: float) -> None:
        self.now, self.times, self._seconds = 100.0, 0, seconds

    def explain(self, group: Group) -> Any:
        self.now += self._seconds
        self.times += 1
        return explain(group.reason, value=str(group.count))


def test_a_group_is_explained_anew_when_it_changes_but_not_for_more_than_a_twentieth_of_the_time() -> None:
    desk = SlowDesk(0.1)
    explained = Explained(clock=lambda: desk.now)

    def times(group: Group, after: float) -> int:
        desk.now += after
        explained.of(cast("Any", desk), group)
        return desk.times

    more = replace(GROUP, count=13)
    assert [times(GROUP, 0), times(GROUP, 29), times(GROUP, 2)] == [1, 1, 2]
    assert [times(more, 1.9), times(more, 0.2), times(more, 20)] == [2, 3, 3]
    assert times(replace(GROUP, name="other"), 0) == 4

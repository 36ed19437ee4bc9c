"""Operate roark-ingest: the command line, and the dead letters from Python.

from roark_ops import DeadLetters, Filter

with DeadLetters.from_env(by="night shift") as dead_letters:
    for group in dead_letters.groups(Filter(assistants=("A7",))):
        print(group.count, group.reason, group.message)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from roark_ops.desk.dead_letters import DeadLetters
    from roark_ops.desk.finding import Filter
    from roark_ops.desk.replays import Replays

__all__ = ["DeadLetters", "Filter", "Replays"]


def __getattr__(name: str) -> Any:
    # Redis takes a while to import, and `roark-ingest --help` passes through here.
    match name:
        case "DeadLetters":
            from roark_ops.desk.dead_letters import DeadLetters

            return DeadLetters
        case "Filter":
            from roark_ops.desk.finding import Filter

            return Filter
        case "Replays":
            from roark_ops.desk.replays import Replays

            return Replays
    raise AttributeError(name)

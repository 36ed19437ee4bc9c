"""How far the way of a ledger from one partition to several is, and whether somebody is on it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

STALLED_MS = 60_000
"""A batch takes seconds; where none was moved for so long, the command was interrupted."""


@dataclass(frozen=True, slots=True)
class Moving:
    """Calls are being moved into so many `partitions`: `left` are still to be, and the last batch was at `last_ms`.

    Nothing is uploaded of what was not moved yet; whoever needs a call by its ID finds it all the same.
    """

    partitions: int
    left: int
    last_ms: int

    def is_stalled(self, now_ms: int) -> bool:
        """Whether nobody moves anything any more."""
        return now_ms - self.last_ms >= STALLED_MS

    @property
    def command(self) -> str:
        """The command that goes on with it."""
        return f"roark-ingest partition {self.partitions}"


def parse_moving(told: Mapping[bytes, bytes]) -> Moving | None:
    """Read the fields that `snapshot.lua` hands out; None where nothing is moved."""
    if b"moving" not in told:
        return None
    return Moving(int(told[b"moving"]), int(told[b"moving_left"]), int(told.get(b"moving_at", 0)))

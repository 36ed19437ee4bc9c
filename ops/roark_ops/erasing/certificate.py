"""What was erased, place by place: done, hidden, left (why, and until when), or not looked at. It names nobody."""

from dataclasses import dataclass, field
from enum import StrEnum

from roark_ledger.moves.desk import Erased
from roark_producer.disk.purging import Purged


class Became(StrEnum):
    """What became of the data in a place."""

    DONE = "done"
    HIDDEN = "hidden"
    LEFT = "left"
    NOT_LOOKED_AT = "not looked at"


@dataclass(frozen=True, slots=True)
class CertifiedPlace:
    """A place in which data of a person may stand. `why` is why it is left or not looked at, and what ends that."""

    name: str
    became: Became
    what: str = ""
    why: str = ""


@dataclass(slots=True)
class Certificate:
    """What was erased. Calls and entries of the rejected bin are named by their tombstones only."""

    number: str
    by: str
    reason: str
    at_ms: int = 0
    calls: list[Erased] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    spool: Purged | None = None
    looked_at: int = 0
    places: list[CertifiedPlace] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left that a repetition of the command could erase."""
        return not any(place.became is Became.LEFT and place.why.startswith(AGAIN) for place in self.places)


AGAIN = "Run this again"
"""How the reason begins where another run may erase what this one left."""

BEYOND = (
    CertifiedPlace("backups", Became.NOT_LOOKED_AT, why="Copies of Redis's files are erased when your backups expire."),
    CertifiedPlace(
        "other machines", Became.NOT_LOOKED_AT, why="Run this there for their logs, spools and left-over files."
    ),
    CertifiedPlace("exported files", Became.NOT_LOOKED_AT, why="Files outside the data directory are not known here."),
    CertifiedPlace(
        "other systems", Became.NOT_LOOKED_AT, why="Journals, log collectors, traces and alerts that were sent."
    ),
    CertifiedPlace(
        "inside reports",
        Became.NOT_LOOKED_AT,
        why="Audio and pictures; numbers in words (but English digits), in letters, with other numbers in between or "
        "right beside other digits; encoded text (but a number that is encoded as one).",
    ),
)

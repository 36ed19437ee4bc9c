"""What was promised and is not here: reports of a ledger that is gone, and what a webhook's disk cannot give back.

A ledger that was emptied balances: nothing accepted, nothing missing. So those that were answered with yes keep its
identity and how much it had accepted, outside of it (`keeping.py`), and lay it beside the ledger every few seconds
(`remember.lua`). What is missing is then noted in the ledger that is there now, for everybody to see, until a
person settles it (`roark-ingest repair ledger`, `repair spool`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Loss:
    """What is missing of a ledger: `least` to `most` reports that it had accepted; `open` were not delivered then.

    `went_back` says that it is this ledger, which lost its latest reports; else it is one that is gone as a whole. It
    was seen whole at `seen_ms`, and found to be missing at `found_ms` (Unix ms).
    """

    ledger: str
    least: int
    most: int
    open: int
    seen_ms: int
    found_ms: int
    went_back: bool

    def words(self) -> str:
        """Say in one sentence what is missing, since when."""
        seen = _iso(self.seen_ms)
        if self.went_back:
            number = str(self.most) if self.least == self.most else f"{self.least} to {self.most}"
            return f"Redis lost its latest data: {number} reports accepted before {seen} are missing."
        return (
            f"Redis now holds a different ledger: {self.most} reports accepted before {seen} are missing, {self.open} "
            "of them not delivered."
        )


LOSS_TODO = (
    "Restore Redis from a backup if you have one, and get missing reports from Vapi (`roark-ingest reconcile`). Then "
    "clear this alert: `roark-ingest repair ledger --accept-loss`."
)
UNREAD_TODO = (
    "Run `roark-ingest repair spool` on that machine to see each file and why. Readable files are queued "
    "automatically. To give up the rest: `roark-ingest repair spool --accept-loss`."
)


class UnreadFile(msgspec.Struct, frozen=True):
    """A file in a spool of which something cannot be handed in: its name, why, and how many reports at least."""

    name: str
    why: str
    reports: int


@dataclass(frozen=True, slots=True)
class Unread:
    """What lies in one webhook's spool (`HOST:FOLDER`) and cannot be handed in."""

    who: str
    files: tuple[UnreadFile, ...]

    @property
    def reports(self) -> int:
        """How many reports it is at least."""
        return sum(each.reports for each in self.files)

    def words(self) -> str:
        """Say in one sentence what it is, and where."""
        host, _, folder = self.who.partition(":")
        named = ", ".join(f"{each.name} ({each.why})" for each in self.files[:_NAMED])
        more = f" and {len(self.files) - _NAMED} more" if len(self.files) > _NAMED else ""
        count = f"{self.reports} report" + ("" if self.reports == 1 else "s")
        return f"At least {count} in the spool {folder} on {host} cannot be read: {named}{more}."


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a keeper remembers of a ledger; `number` is that of his mark in it, `losses` what nobody has settled.

    `parts` are the same of its partitions, where it has several: each may be lost by itself.
    """

    ledger: str = ""
    accepted: int = 0
    open: int = 0
    number: int = 0
    seen_ms: int = 0
    losses: tuple[tuple[str, str], ...] = ()
    parts: "tuple[Remembered, ...]" = ()

    def known_losses(self) -> tuple[Loss, ...]:
        """Return the losses as they are told."""
        theirs = (loss for part in self.parts for loss in part.known_losses())
        return (*parse_losses(self.losses, self.ledger), *theirs)

    def part(self, number: int) -> "Remembered":
        """Return what is remembered of a partition, nothing where it was not there then."""
        return self.parts[number] if number < len(self.parts) else Remembered()

    @property
    def all_open(self) -> int:
        """How many reports were on their way."""
        return self.open + sum(part.open for part in self.parts)


def parse_remembered(reply: Sequence[Any]) -> Remembered:
    """Read the answer of `remember.lua`."""
    ledger, accepted, left_open, number, now, *losses = reply
    return Remembered(ledger.decode(), int(accepted), int(left_open), int(number), int(now), tuple(_texts(losses)))


def parse_losses(losses: Iterable[tuple[str, str]], ledger: str) -> tuple[Loss, ...]:
    """Read the losses that stand in the ledger of that id."""
    found = []
    for which, text in losses:
        least, most, left_open, seen, since = map(int, text.split())
        found.append(Loss(which, least, most, left_open, seen, since, which == ledger))
    return tuple(found)


def parse_promises(reply: Sequence[bytes]) -> tuple[tuple[Loss, ...], tuple[Unread, ...], dict[str, str]]:
    """Read the fields that `snapshot.lua` hands out: what is missing, what cannot be handed in, why spools are used."""
    fields = list(_texts(reply))
    ledger = dict(fields).get("id", "")
    lost = [(name.removeprefix("lost "), text) for name, text in fields if name.startswith("lost ")]
    unread = [
        Unread(name.removeprefix("unread "), msgspec.json.decode(text, type=tuple[UnreadFile, ...]))
        for name, text in fields
        if name.startswith("unread ")
    ]
    why = {name.removeprefix("why "): text for name, text in fields if name.startswith("why ")}
    return parse_losses(lost, ledger), tuple(unread), why


def unread_files(found: Iterable[tuple[Path, str, int]]) -> tuple[UnreadFile, ...]:
    """Return what is told of files: name, why, reports."""
    return tuple(UnreadFile(path.name, why, reports) for path, why, reports in found)


def _texts(flat: Sequence[bytes]) -> Iterable[tuple[str, str]]:
    texts = [bytes(each).decode() for each in flat]
    return zip(texts[::2], texts[1::2], strict=True)


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""Who did what: the operators' logbook, a stream in Redis that grows until somebody trims it.

Not to be confused with the logs (`logs.py`, what processes say) and the audit (is every report accounted for).

1. What a person does is written by the very script that does it (`log_deed` in `_ledger.lua`), so no action can be
   without its line, wherever a process dies. What is more than one script long writes its intent first
   (`operations.log_deed`), and then each of its steps.
2. A line names calls by their ids; an erased call by its tombstone, which says nothing about anybody. Whatever looks
   like a phone number or a secret in a name or a reason is masked before it gets there.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from roark_ledger.logs import masked_text

_MOST_TEXT = 500


class Action(StrEnum):
    """What can be done to the ledger by hand, and by a setting that removes."""

    HOLD = "hold"
    RESUME = "resume"
    REPLAY = "replay"
    REPLAY_PAUSE = "replay-pause"
    REPLAY_RESUME = "replay-resume"
    REPLAY_CANCEL = "replay-cancel"
    SET_ASIDE = "set-aside"
    DISCARD = "discard"
    CONFIRM = "confirm"
    RESTORE = "restore"
    EDIT = "edit"
    ERASE = "erase"
    EXPORT = "export"
    IMPORT = "import"
    REJECTED_RETRY = "rejected-retry"
    REJECTED_DISCARD = "rejected-discard"
    REJECTED_ERASE = "rejected-erase"
    RETENTION = "retention"
    REPAIR = "repair"
    LOG_TRIM = "log-trim"
    BACKFILL = "backfill"
    REVEAL = "reveal"
    ROUTE = "route"
    PARTITION = "partition"


@dataclass(frozen=True, slots=True)
class Deed:
    """One line of the logbook. `at_ms` is Unix time by Redis's clock; `place` is its id in the stream.

    `count` is how many calls (or entries) were changed; `calls` names them. `about` is what else was said: a job, a
    file, a filter.
    """

    place: str
    at_ms: int
    action: str
    by: str
    reason: str
    count: int
    calls: tuple[str, ...]
    about: dict[str, Any]


def doer(by: str, reason: str = "", **about: str | int) -> bytes:
    """Return who acts and why, as the scripts take it: a JSON object, for the logbook and a report's history.

    `about` must name no person; values of a kind that no log may hold are masked.
    """
    said = {"by": by, **({"reason": reason} if reason else {}), **about}
    return msgspec.json.encode({name: _safe(value) for name, value in said.items()})


def _safe(value: str | int) -> str | int:
    return masked_text(value)[:_MOST_TEXT] if isinstance(value, str) else value


def parse_deed(row: list[Any]) -> Deed:
    """Read one entry of the stream, as `log_deed` in `_ledger.lua` writes it."""
    place, flat = row
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    about = msgspec.json.decode(fields[b"who"], type=dict[str, Any])
    return Deed(
        place=place.decode(),
        at_ms=int(fields[b"at"]),
        action=fields[b"action"].decode(),
        by=str(about.pop("by", "")),
        reason=str(about.pop("reason", "")),
        count=int(fields[b"count"]),
        calls=tuple(fields[b"calls"].decode().split()),
        about=about,
    )


def stream_order(deed: Deed) -> tuple[int, int]:
    """Return what orders the lines of several streams as one: the two numbers of a line's id."""
    at, _, number = deed.place.partition("-")
    return int(at), int(number)

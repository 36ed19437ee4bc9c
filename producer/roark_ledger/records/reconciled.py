"""How the comparison with Vapi's list of calls stands, as the ledger tells it. Format: `reconcile_note.lua`."""

from dataclasses import dataclass
from typing import Any

import msgspec

_WANTED_MS = 600_000
_LATE_MS = 7_200_000


@dataclass(frozen=True, slots=True)
class Reconciled:
    """How the comparison with Vapi's list of calls stands. Times are Unix ms, 0 for never.

    Workers that have Vapi's key ask for a turn all the time: `asked_ms` is the last time, `first_ms` the first one.
    `tried_ms` is when the last pass ended, `at_ms` the last one that read all, and `error` why the last one did not.
    `result` has its figures.
    """

    first_ms: int
    asked_ms: int
    every_ms: int
    at_ms: int
    tried_ms: int
    watermark_ms: int
    missing: int
    error: str
    running: bool
    result: dict[str, Any]

    def late_ms(self, now_ms: int) -> int:
        """For how long nothing was read whole though workers are there to do it, once that is no chance; else 0."""
        quiet_ms = now_ms - (self.at_ms or self.first_ms)
        is_wanted = self.first_ms > 0 and now_ms - self.asked_ms < _WANTED_MS
        return quiet_ms if is_wanted and quiet_ms > max(_LATE_MS, 4 * self.every_ms) else 0


def parse_reconciled(fields: dict[str, str]) -> Reconciled | None:
    """Read it from the fields of the lane; None where no worker ever compared, nor a person."""

    def number(name: str) -> int:
        return int(fields.get(f"reconcile_{name}", 0))

    if not {"reconcile_first", "reconcile_missing"} & fields.keys():
        return None
    return Reconciled(
        first_ms=number("first"),
        asked_ms=number("asked"),
        every_ms=number("every"),
        at_ms=number("at"),
        tried_ms=number("tried"),
        watermark_ms=number("watermark"),
        missing=number("missing"),
        error=fields.get("reconcile_error", ""),
        running="reconcile_by" in fields,
        result=msgspec.json.decode(fields.get("reconcile_result", "{}")),
    )

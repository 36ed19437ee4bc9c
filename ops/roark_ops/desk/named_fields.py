"""The field that Roark named when it refused a report, and what stands there, in words that may be shown."""

from collections.abc import Iterable

from roark_ledger.packing import DamagedPayload, unpack
from roark_ledger.records.record import Entry
from roark_ops.mending.offending import value_in_words, values_in_words


def named_in_all(entries: Iterable[Entry | None], count: int) -> tuple[str, str]:
    """Return the field that was named of the latest of these reports, and what they have there.

    `entries` are the latest of `count` reports that died of the same thing.
    """
    named = [(field, value_of(entry, field)) for entry in entries if entry and (field := _named(entry))]
    if not named:
        return "", ""
    fields = {field for field, _ in named}
    latest = named[-1][0]
    if len(fields) > 1:
        of = f"{len(named)} reports" if len(named) == count else f"the {len(named)} latest reports"
        return latest, f"the latest of {len(fields)} different ones in {of}"
    return latest, values_in_words([value for _, value in named], count)


def _named(entry: Entry) -> str:
    last = next((event for event in reversed(entry.history) if "parameter" in event.detail), None)
    return str(last.detail["parameter"]) if last else ""


def value_of(entry: Entry, parameter: str) -> str:
    """Return what stands in the place that Roark named, in words that may be shown; "" where that is not known."""
    if not (parameter and entry.packed):
        return ""
    try:
        return value_in_words(unpack(entry.packed).payload, parameter)
    except (DamagedPayload, RecursionError):
        return ""

"""What Roark does not accept in a report: a field with a certain value, as a validation that has become stricter.

    endedReason=unknown                   refuses (400) reports whose `endedReason` is "unknown", and names the field
    call.assistantId=a-7                  fields further down are named with dots
    call.cost=null                        a value that is no text is written as in JSON

A report that has no such field passes. Pure. A mistake raises ValueError naming the spec.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

_MISSING = object()


@dataclass(frozen=True, slots=True)
class Demand:
    """A field, as the names on the way to it, and the values that are not accepted there."""

    path: tuple[str, ...]
    unacceptable: tuple[object, ...]

    @property
    def field(self) -> str:
        """The field's name, as Roark's error gives it."""
        return ".".join(self.path)

    def is_broken_by(self, report: object) -> bool:
        """Whether this report, as msgspec reads it, has such a value there."""
        for name in self.path:
            report = report.get(name, _MISSING) if isinstance(report, dict) else _MISSING
        return any(type(report) is type(value) and report == value for value in self.unacceptable)


def broken_by(demands: tuple[Demand, ...], payload: msgspec.Raw) -> Demand | None:
    """The first demand that this report breaks."""
    if not demands:
        return None
    report = msgspec.json.decode(payload)
    return next((demand for demand in demands if demand.is_broken_by(report)), None)


def parse_demand(spec: str) -> Demand:
    """A demand from PATH=VALUE; raises ValueError for anything else."""
    path, has_value, value = spec.partition("=")
    names = tuple(path.split("."))
    if not has_value or not all(names):
        raise ValueError(f"{spec!r} is not PATH=VALUE, as endedReason=unknown")
    try:
        return Demand(names, (value, msgspec.json.decode(value)))
    except msgspec.DecodeError:
        return Demand(names, (value,))

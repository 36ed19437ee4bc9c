"""What came in and could not be used, as the bin tells it."""

from dataclasses import dataclass
from dataclasses import field as field_
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Rejected:
    """What came in and could not be used. `digest` names it; `field` and `problem` say why; Unix ms.

    `source` is who took it in: webhook, python or the command.
    """

    digest: str
    rejected_ms: int
    field: str
    problem: str
    source: str
    size: int
    packed: bytes = field_(repr=False)


def parse_rejected(row: list[Any]) -> Rejected:
    """Read one row of `rejected.lua`."""
    digest, at, entry = row
    length, _, rest = entry.partition(b" ")
    meta = msgspec.json.decode(rest[: int(length)])
    return Rejected(
        digest=digest.decode(),
        rejected_ms=int(at),
        field=meta["field"],
        problem=meta["problem"],
        source=meta["source"],
        size=meta["bytes"],
        packed=rest[int(length) :],
    )

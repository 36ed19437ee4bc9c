"""What a demo showed, as figures: taken from the webhook's answers, the ledger's records and the sandbox. Pure.

A latency is from the moment at which the ledger had the report to the moment at which it had recorded Roark's yes,
both by the server's clock: waiting, uploading and recording included.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from roark_ledger.lifecycle import State
from roark_ledger.records.record import Entry
from roark_ops.up.vapi import Posted

_EXAMPLES = 3
_TAKEN_IN = ("accepted", "spooled")


@dataclass(frozen=True, slots=True)
class DeliveredReport:
    """One delivered call: its id at Vapi, its id at Roark, and how long it took."""

    call_id: str
    roark_call_id: str
    latency_ms: int


@dataclass(frozen=True, slots=True)
class Received:
    """What the sandbox says about the calls that were delivered: it should have each report once.

    `newer` counts calls whose preliminary report was followed by the full one: both are there, as two reports.
    """

    calls: int
    newer: int
    twice: int
    missing: int


@dataclass(frozen=True, slots=True)
class ThreeSides:
    """What a comparison with the sandbox's Vapi came to: calls that ended there, are here, are visible at Roark.

    Of those, `never_came` had no report here, the `left_out` among them on purpose. `agree` is about the sums at the
    end, when what was brought in was delivered; `incomplete` says why not all could be compared.
    """

    left_out: int
    never_came: int
    brought_in: int
    at_vapi: int
    here: int
    at_roark: int
    agree: bool
    incomplete: str = ""


@dataclass(frozen=True, slots=True)
class UpSummary:
    """The figures of one demo. `taken_in` counts calls, the other sums count messages."""

    sent: int
    taken_in: int
    answers: dict[str, int]
    rejections: tuple[str, ...]
    delivered: int
    states: dict[str, int]
    p50_ms: int
    p95_ms: int
    slowest_ms: int
    seconds: float
    examples: tuple[DeliveredReport, ...]
    received: Received | None = field(default=None)
    reconciled: ThreeSides | None = field(default=None)

    @property
    def reports_per_second(self) -> float:
        """Delivered calls per second between the first acceptance and the last delivery."""
        return self.delivered / self.seconds if self.seconds else 0.0

    @property
    def is_complete(self) -> bool:
        """Whether all that was sent was dealt with, and all that was taken in or brought in is delivered, once."""
        arrived = self.received is None or self.received.twice == self.received.missing == 0
        accounted_for = self.reconciled is None or (self.reconciled.agree and not self.reconciled.incomplete)
        dealt_with = self.answers.get("failed", 0) == 0 and self.delivered == self.taken_in > 0
        return dealt_with and arrived and accounted_for

    @property
    def is_settled(self) -> bool:
        """Whether every call has come to rest, be it as a dead letter."""
        return not set(self.states) & {"ready", "uploading", "waiting"} and self.answers.get("failed", 0) == 0

    def as_json(self) -> dict[str, Any]:
        """Return the figures for a program."""
        return asdict(self) | {
            "reports_per_second": round(self.reports_per_second, 1),
            "seconds": round(self.seconds, 3),
            "complete": self.is_complete,
        }


def summarise(
    answers: Sequence[Posted],
    entries: Iterable[Entry | None],
    received: Received | None,
    reconciled: ThreeSides | None = None,
) -> UpSummary:
    """Return the figures of a demo; `entries` are those of the calls that were taken in."""
    records = [(entry.call_id, entry.record) for entry in entries if entry and entry.record]
    delivered = sorted(
        ((call_id, record) for call_id, record in records if record.state is State.DELIVERED),
        key=lambda each: each[1].since_ms,
    )
    deliveries = [
        DeliveredReport(call_id, record.note, record.since_ms - record.accepted_ms) for call_id, record in delivered
    ]
    latencies = sorted(each.latency_ms for each in deliveries)
    first_ms = min((record.accepted_ms for _, record in delivered), default=0)
    last_ms = max((record.since_ms for _, record in delivered), default=0)
    counts = Counter(answer.result for answer in answers)
    return UpSummary(
        sent=len(answers),
        taken_in=len(taken_in(answers)),
        answers=dict(counts),
        rejections=tuple(sorted({answer.reason for answer in answers if answer.result in {"rejected", "failed"}})),
        delivered=len(deliveries),
        states=dict(Counter(str(record.state) for _, record in records)),
        p50_ms=percentile(latencies, 50),
        p95_ms=percentile(latencies, 95),
        slowest_ms=latencies[-1] if latencies else 0,
        seconds=(last_ms - first_ms) / 1000,
        examples=tuple(_spread(deliveries)),
        received=received,
        reconciled=reconciled,
    )


def taken_in(answers: Iterable[Posted]) -> list[str]:
    """Return the new calls among what was answered, each once, in their order.

    What arrived while the server was away went to the spool first; it may have been a repeat.
    """
    return list(dict.fromkeys(each.call_id for each in answers if each.call_id and each.result in _TAKEN_IN))


def percentile(ordered: Sequence[int], share: int) -> int:
    """Return the value that so many in a hundred do not exceed (nearest rank); 0 where there are none."""
    return ordered[max(0, math.ceil(len(ordered) * share / 100) - 1)] if ordered else 0


def compare(call_ids: Iterable[str], calls: Mapping[str, Any]) -> Received:
    """Look up these calls in the sandbox's `/_sandbox/calls`, which has a digest of each report that it imported."""
    digests = [calls.get(call_id, {}).get("sha256", []) for call_id in call_ids]
    return Received(
        calls=sum(1 for each in digests if each),
        newer=sum(1 for each in digests if len(set(each)) > 1),
        twice=sum(1 for each in digests if len(set(each)) < len(each)),
        missing=sum(1 for each in digests if not each),
    )


def _spread(deliveries: Sequence[DeliveredReport]) -> Iterable[DeliveredReport]:
    if len(deliveries) <= _EXAMPLES:
        return deliveries
    step = (len(deliveries) - 1) / (_EXAMPLES - 1)
    return [deliveries[round(number * step)] for number in range(_EXAMPLES)]

"""The way to Roark as the ledger tells it: open or shut, since when, by which evidence, how fast."""

from dataclasses import dataclass
from dataclasses import field as field_
from typing import Any

import msgspec

from roark_ledger.lane_states import BROKEN, LaneState
from roark_ledger.records.forecast import Speed
from roark_ledger.records.reply import pairs

_PACE_LASTS_MS = 120_000


@dataclass(frozen=True, slots=True)
class Evidence:
    """By what a lane is shut: how often which reason was met, the most frequent first, and a few of the calls.

    `reports` is how many different reports were refused, 0 where it is no hold by refusals; `passed_ms` when the last
    upload that was good had begun, 0 where none was.
    """

    reasons: dict[str, int] = field_(default_factory=dict)
    calls: tuple[str, ...] = ()
    reports: int = 0
    passed_ms: int = 0


@dataclass(frozen=True, slots=True)
class Lane:
    """The way to Roark.

    `reason` says why it is not open, `evidence` by what that is known, `by` who held it ("roark" for its answers),
    `since_ms` since when, and
    `next_ms` when a probe or the next upload may go; 0 where that does not apply. `limit` is the level of
    uploads in flight that was found, 0 where none is set; `pace` how many per second Roark let through when it last
    said that we are too fast, 0 where it did not lately; `speed` is None until there were deliveries. `route` is the
    way in to which a person switched, "" where the workers' setting counts.
    """

    state: LaneState
    reason: str
    by: str
    since_ms: int
    next_ms: int
    last_claim_ms: int
    limit: float = 0.0
    pace: float = 0.0
    speed: Speed | None = None
    evidence: Evidence = Evidence()
    route: str = ""


@dataclass(frozen=True, slots=True)
class LaneNews:
    """How the lane is, for whoever has the turn to show it, and how many reports are ready."""

    lane: Lane
    ready: int


def parse_lane_news(reply: list[Any]) -> LaneNews | None:
    """Read the answer of `lane_news.lua`; None where it is nobody's turn, or another one's."""
    if not reply:
        return None
    now, ready, lane = reply
    fields = {name.decode(): value.decode() for name, value in pairs(lane)}
    return LaneNews(parse_lane(fields, int(now)), int(ready))


def parse_lane(fields: dict[str, str], now_ms: int) -> Lane:
    def number(name: str) -> int:
        return int(float(fields.get(name, 0)))

    state, reason, since, following = LaneState(fields.get("way", LaneState.OPEN)), "", 0, 0
    if state is LaneState.HELD:
        reason, probe_at = fields.get("reason", ""), number("probe_at")
        since, following = number("since"), max(probe_at, number("paused_until")) if probe_at else 0
    elif state in BROKEN:
        reason, since = _breaker_reason(fields), number("breaker_since")
        following = max(number("breaker_until"), number("paused_until"))
    elif state is LaneState.THROTTLED:
        reason, since, following = "Roark asked us to wait", number("paused_since"), number("paused_until")
    return Lane(
        state=state,
        reason=reason,
        by=fields.get("by", ""),
        since_ms=since,
        next_ms=following,
        last_claim_ms=number("last_claim"),
        limit=float(fields.get("limit", 0)),
        pace=float(fields.get("pace", 0)) if now_ms - number("pace_at") < _PACE_LASTS_MS else 0.0,
        speed=_parse_speed(fields),
        evidence=_parse_evidence(fields, state, number("passed")),
        route=fields.get("route", ""),
    )


def _breaker_reason(fields: dict[str, str]) -> str:
    causes = ", ".join(f"{cause}: {number}" for cause, number in _evidence(fields, "failures").reasons.items())
    return ": ".join(filter(None, (fields.get("evidence", ""), causes)))


def _parse_evidence(fields: dict[str, str], state: LaneState, passed_ms: int) -> Evidence:
    if state is LaneState.HELD:
        found = _evidence(fields, "refusals")
        return Evidence(found.reasons, found.calls, int(float(fields.get("refused", 0))), passed_ms)
    return _evidence(fields, "failures") if state in BROKEN else Evidence()


def _evidence(fields: dict[str, str], name: str) -> Evidence:
    if name not in fields:
        return Evidence()
    found = msgspec.json.decode(fields[name])
    reasons = sorted(found["reasons"].items(), key=lambda one: (-one[1], one[0]))
    return Evidence({reason: int(number) for reason, number in reasons}, tuple(found["calls"] or ()))


def _parse_speed(fields: dict[str, str]) -> Speed | None:
    if "delivered_ps" not in fields:
        return None
    accepted, delivered = float(fields["accepted_ps"]), float(fields["delivered_ps"])
    return Speed(accepted, delivered, int(float(fields["speed_at"])))

"""What a comparison with Vapi's list of calls reads, and where each call belongs. Pure.

A pass of the workers has two parts:

    new      from the watermark to a quarter of an hour ago: what no pass has read yet. Each window that was read
             whole moves the watermark, and nothing else does
    again    the 13 hours before it (Vapi's longest call lasts 12), but only what was updated since the last pass: a
             call is listed by its creation, and may have been going on when its window was read. Once a night
             (03:00 UTC) everything that Vapi still keeps, in case a call was listed late or its update was not

Whether Vapi always sets `updatedAt` when a call ends is not documented; the night's pass does not rely on it.

A call that is listed belongs into one bucket, first by what the ledger knows of it, then by what Vapi says:

    delivered, on_the_way, dead, discarded, expired, erased     where its report is
    missing          it ended, and its report never came
    unrecoverable    the same, but Vapi kept nothing of what was said (zero data retention): no report can be made
    odd              Vapi cannot say how it ended, or says for half a day that it goes on
    not_yet          it goes on, or has ended just now: the next pass judges. Counts neither as ended nor as missing
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import msgspec

from roark_ledger.errors import InvalidReport
from roark_ledger.moves.reconcile import Stand
from roark_producer.vapi.calls import is_call_object
from roark_producer.vapi.slices import members

HOUR_MS = 3_600_000
OVERLAP_MS = 13 * HOUR_MS
LONGEST_CALL_MS = 12 * HOUR_MS
_SLACK_MS = HOUR_MS
_NIGHT_HOUR = 3
_QUIET_MS = 5 * 60_000
_OVER_UNSAID = frozenset({"not-found", "deletion-failed"})
_AUDIO = ("recordingUrl", "stereoRecordingUrl", "presignedMonoUrl", "presignedStereoUrl")


class Bucket(StrEnum):
    """Where a call that Vapi lists belongs: a closed set, for the JSON and the label of a metric."""

    DELIVERED = "delivered"
    ON_THE_WAY = "on_the_way"
    DEAD = "dead"
    DISCARDED = "discarded"
    EXPIRED = "expired"
    ERASED = "erased"
    MISSING = "missing"
    ODD = "odd"
    UNRECOVERABLE = "unrecoverable"
    NOT_YET = "not_yet"


KNOWN: Mapping[str, Bucket] = {
    "delivered": Bucket.DELIVERED,
    "unconfirmed": Bucket.DELIVERED,
    "ready": Bucket.ON_THE_WAY,
    "waiting": Bucket.ON_THE_WAY,
    "uploading": Bucket.ON_THE_WAY,
    "dead": Bucket.DEAD,
    "discarded": Bucket.DISCARDED,
    "expired": Bucket.EXPIRED,
    "erased": Bucket.ERASED,
}
"""What `reconcile_look.lua` says, and the bucket; `unknown` has none."""


@dataclass(frozen=True, slots=True)
class ReconcileRules:
    """How long a report may take after its call's end, how far back is looked, and whose calls are expected here."""

    settle_ms: int
    back_ms: int
    assistants: frozenset[str] = frozenset()

    def expects(self, call: "Listed") -> bool:
        """Whether a report of this call is to come here at all."""
        return not self.assistants or call.assistant_id in self.assistants


@dataclass(frozen=True, slots=True)
class Listed:
    """A call as Vapi lists it: what it is judged by. Unix ms, 0 where Vapi does not say."""

    call_id: str
    created_ms: int
    updated_ms: int
    ended_ms: int
    status: str
    assistant_id: str
    spoken: bool
    kept: bool
    body: bytes

    def __repr__(self) -> str:
        """Name the call; the rest is people's data."""
        return f"Listed({self.call_id!r}, {self.status!r})"


def read_listed(body: bytes) -> Listed | None:
    """Return what a call is judged by; None for what is no Call object with a usable id."""
    try:
        call = members(body, "call")
        artifact = members(call["artifact"], "artifact") if call.get("artifact", b"")[:1] == b"{" else {}
    except InvalidReport:
        return None
    call_id = _text(call.get("id"))
    if not call_id or not (is_call_object(body) or "status" in call):
        return None
    ended = _ms(call.get("endedAt"))
    return Listed(
        call_id=call_id,
        created_ms=_ms(call.get("createdAt")),
        updated_ms=_ms(call.get("updatedAt")),
        ended_ms=ended,
        status=_text(call.get("status")) or ("ended" if ended else ""),
        assistant_id=_text(call.get("assistantId")),
        spoken=_ms(call.get("startedAt")) > 0,
        kept=_has_content({**call, **artifact}),
        body=body,
    )


def bucket(call: Listed, found: str, rules: ReconcileRules, now_ms: int) -> Bucket:
    """Return where a call belongs; `found` is what the ledger says of it."""
    if found in KNOWN:
        return KNOWN[found]
    if call.status in _OVER_UNSAID:
        return Bucket.ODD
    if call.status != "ended":
        lasts_ms = now_ms - call.created_ms
        is_scheduled = call.status == "scheduled"
        return Bucket.ODD if lasts_ms > LONGEST_CALL_MS + HOUR_MS and not is_scheduled else Bucket.NOT_YET
    if now_ms - (call.ended_ms or call.updated_ms or call.created_ms) < rules.settle_ms:
        return Bucket.NOT_YET
    # Analysis follows the end by a while, and a report made before would lack it.
    if call.updated_ms and 0 <= now_ms - call.updated_ms < min(_QUIET_MS, rules.settle_ms):
        return Bucket.NOT_YET
    return Bucket.UNRECOVERABLE if call.spoken and not call.kept else Bucket.MISSING


class StretchKind(StrEnum):
    """Why a stretch of time is read."""

    NEW = "new"
    AGAIN = "again"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Stretch:
    """A span of creation times to read, [from, to) in Unix ms; with `updated_from_ms` only what changed since then."""

    part: StretchKind
    from_ms: int
    to_ms: int
    updated_from_ms: int = 0


def plan(stand: Stand, rules: ReconcileRules, now_ms: int) -> list[Stretch]:
    """Return what the next pass of a worker reads."""
    to = now_ms - rules.settle_ms
    oldest = now_ms - rules.back_ms
    watermark = min(stand.watermark_ms, to)
    found = [Stretch(StretchKind.NEW, max(watermark, oldest), to)]
    if watermark <= oldest:
        # All that Vapi keeps is new.
        return found
    # Passes that lie ahead were made by a worker whose clock was wrong.
    swept, full = (at if at <= now_ms else 0 for at in (stand.swept_ms, stand.full_ms))
    if last_night_ms(now_ms) > full:
        found.append(Stretch(StretchKind.FULL, max(stand.full_next_ms, oldest), watermark))
    else:
        # What ended in the settling time before the last pass could not be judged by it.
        since = max(1, (swept or full) - rules.settle_ms - _SLACK_MS) if swept or not stand.swept_ms else 1
        found.append(Stretch(StretchKind.AGAIN, max(watermark - OVERLAP_MS, oldest), watermark, since))
    return [stretch for stretch in found if stretch.from_ms < stretch.to_ms]


def last_night_ms(now_ms: int) -> int:
    """Return when the last night's pass was due."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    night = now.replace(hour=_NIGHT_HOUR, minute=0, second=0, microsecond=0)
    return round((night if night <= now else night - timedelta(days=1)).timestamp() * 1000)


def _has_content(found: Mapping[str, bytes]) -> bool:
    said = found.get("messages", b"")
    has_messages = said[:1] == b"[" and said[1:].strip() != b"]"
    return has_messages or bool(_text(found.get("transcript"))) or any(_text(found.get(name)) for name in _AUDIO)


def _text(value: bytes | None) -> str:
    try:
        return msgspec.json.decode(value, type=str) if value else ""
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _ms(value: bytes | None) -> int:
    try:
        found = datetime.fromisoformat(_text(value))
        return max(0, round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000))
    except (ValueError, OverflowError):
        return 0

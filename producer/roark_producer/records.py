"""What the ledger tells about its reports, as plain values: one call, a dead letter, the whole at a glance.

The formats are written down in `lua/_ledger.lua` and in the headers of `look.lua`, `page.lua`, `snapshot.lua`.
"""

from dataclasses import dataclass, replace
from dataclasses import field as field_
from typing import Any, Literal, Self

import msgspec

from roark_producer.accounts import Accounts, Finding
from roark_producer.alerts import Alert, parse_alerts
from roark_producer.forecast import Forecast, Speed, forecast
from roark_producer.lifecycle import State
from roark_producer.promises import Loss, Unread, parse_promises

_STATES = {
    b"r": State.READY,
    b"u": State.UPLOADING,
    b"w": State.WAITING,
    b"v": State.DELIVERED,
    b"d": State.DEAD,
    b"x": State.DISCARDED,
}
SHORT_SHARE = 0.85
"""Share of maxmemory from which accept refuses reports; written in `accept.lua` as SHORT_FROM."""

UNCONFIRMED: Literal["unconfirmed"] = "unconfirmed"
"""Delivered, and Roark did not name the call: no state of its own, but kept and listed like one."""

_ENDS_AND_ATTEMPTS = frozenset({"buried", "poisoned", "lost", "set_aside", "deferred", "refused", "reclaimed"})
_STARTS_ANEW = frozenset({"replayed", "replaced", "revised"})
_BY_SINCE = frozenset({"dead", "discarded", "unconfirmed", "delivered"})
_PRIORITIES = {b"f": "fresh", b"r": "retry", b"p": "replay"}
_PLAIN_DELIVERY_PARTS = 6
_PACE_LASTS_MS = 120_000
_GROWTH_LASTS_MS = 60_000
_BIN_IS_FILLING = 0.8
_RECONCILE_WANTED_MS = 600_000
_RECONCILE_LATE_MS = 7_200_000


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a report's history. `at_ms` is Unix time by Redis's clock; `detail` as it was recorded."""

    at_ms: int
    name: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """The record of one report. Times are Unix ms; `note` is Roark's id when delivered, else a reason's code.

    `expires_ms` is when the report's audio links end, 0 where there are none or it is delivered.
    """

    state: State
    fingerprint: str
    accepted_ms: int
    since_ms: int
    attempts: int
    deaths: int
    token: int
    priority: str
    revision: bool
    note: str
    expires_ms: int = 0

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Read the record's text, as `_ledger.lua` writes it."""
        parts = text.split(b" ")
        if len(parts) == _PLAIN_DELIVERY_PARTS:
            parts[5:5] = [b"0", b"0", b"f", b"0"]
        state, fingerprint, accepted, since, attempts, deaths, token, priority, revision, note, *more = parts
        return cls(
            state=_STATES[state],
            fingerprint=fingerprint.decode(),
            accepted_ms=int(accepted),
            since_ms=int(accepted) + int(since),
            attempts=int(attempts),
            deaths=int(deaths),
            token=int(token),
            priority=_PRIORITIES[priority],
            revision=revision == b"1",
            note="" if note == b"-" else note.decode(),
            expires_ms=int(more[0]) if more else 0,
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """Everything that is known of one call. `record` is None for an erased one; `score_ms` orders it in its place.

    `packed` is the report that is to be uploaded, or was; `original` the one that was sent, where a person edited it.
    """

    call_id: str
    asked_ms: int
    record: Record | None
    erased: bool
    score_ms: int
    history: tuple[Event, ...]
    packed: bytes = field_(repr=False)
    has_newer: bool
    has_revision: bool
    original: bytes = field_(default=b"", repr=False)
    unconfirmed_ms: int = 0
    """When it was delivered without being named by Roark, and is not confirmed since; 0: that is not so."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A report as lists show it, in whatever place it stands: most are dead letters.

    `since_ms` is since when it is in its state, `score_ms` orders it in its `place`. `assistant` is Vapi's assistant as
    the worker noted it, "" where it did not. `properties` are their JSON, b"" where there are none or they were not
    asked for. `edited` says that a person changed the report, and the original is kept.
    """

    call_id: str
    since_ms: int
    record: Record
    history: tuple[Event, ...]
    assistant: str = ""
    properties: bytes = b""
    edited: bool = False
    place: str = "dead"
    score_ms: int = 0

    @property
    def last(self) -> Event | None:
        """What brought it where it is: of a dead letter its end, else the last attempt; None where none is told."""
        for event in reversed(self.history):
            if event.name in _ENDS_AND_ATTEMPTS:
                return event
            if event.name in _STARTS_ANEW and self.record.state is not State.DISCARDED:
                return None
        return None

    @property
    def state(self) -> str:
        """The state as it is shown: that of the record, but for deliveries that are unconfirmed."""
        return UNCONFIRMED if self.place == UNCONFIRMED else self.record.state.value

    @property
    def next_ms(self) -> int:
        """When it is tried again, or its lease ends; 0 where it stands for no time."""
        return self.score_ms if self.place in {"waiting", "uploading"} else 0


@dataclass(frozen=True, slots=True)
class LetterPage:
    """Some of the reports in a place. `youngest_ms` bounds the pages that follow, which begin behind `last`, if any."""

    youngest_ms: int
    last: tuple[int, str] | None
    letters: tuple[DeadLetter, ...]

    @property
    def more(self) -> bool:
        """Whether another page may follow."""
        return self.last is not None


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
    """The way to Roark. `state` is open, held, breaker-open, half-open or throttled.

    `reason` says why it is not open, `evidence` by what that is known, `by` who held it ("roark" for its answers),
    `since_ms` since when, and
    `next_ms` when a probe or the next upload may go; 0 where that does not apply. `limit` is the level of
    uploads in flight that was found, 0 where none is set; `pace` how many per second Roark let through when it last
    said that we are too fast, 0 where it did not lately; `speed` is None until there were deliveries.
    """

    state: str
    reason: str
    by: str
    since_ms: int
    next_ms: int
    last_claim_ms: int
    limit: float = 0.0
    pace: float = 0.0
    speed: Speed | None = None
    evidence: Evidence = Evidence()


@dataclass(frozen=True, slots=True)
class LaneNews:
    """How the lane is, for whoever has the turn to show it, and how many reports are ready."""

    lane: Lane
    ready: int


@dataclass(frozen=True, slots=True)
class Memory:
    """The server's memory in bytes; `most` 0 is no limit. Refused from `SHORT_SHARE`, which `short` tells.

    The growth is the mean over the last accepts, and 0 when there was none for a minute.
    """

    used: int
    most: int
    growth_per_second: float
    short: bool

    @property
    def seconds_to_short(self) -> float | None:
        """When reports will be refused if memory goes on growing like this; None where it does not, or has no limit."""
        room = self.most * SHORT_SHARE - self.used
        if self.most == 0 or self.growth_per_second <= 0:
            return None
        return max(0.0, room / self.growth_per_second)


@dataclass(frozen=True, slots=True)
class Replays:
    """How many replay jobs there are by state, how many letters they are to send, and how many are on their way."""

    collecting: int = 0
    running: int = 0
    paused: int = 0
    cancelled: int = 0
    ended: int = 0
    selected: int = 0
    sent: int = 0


@dataclass(frozen=True, slots=True)
class Retention:
    """How long reports stay `dead`, `discarded` or `unconfirmed`, by the setting that the workers last had.

    `expiring` is how many go within the notice; the first of them does not before `next_ms` (Unix ms, 0 without one).
    """

    state: State | Literal["unconfirmed"]
    window_ms: int
    notice_ms: int
    expiring: int
    next_ms: int


@dataclass(frozen=True, slots=True)
class Bin:
    """How full the rejected bin is. What is spare makes room for the rest (see `lua/_bin.lua`), so it fills nothing.

    `most` and `most_bytes` are the bounds of whoever put something in last; 0: nobody has yet.
    """

    entries: int
    bytes: int
    spare_entries: int
    spare_bytes: int
    most: int
    most_bytes: int

    @property
    def fill(self) -> float:
        """How much of it is taken by what exists nowhere else, 0 to 1."""
        by_entries = (self.entries - self.spare_entries) / self.most if self.most else 0.0
        by_bytes = (self.bytes - self.spare_bytes) / self.most_bytes if self.most_bytes else 0.0
        return max(by_entries, by_bytes)

    @property
    def filling(self) -> bool:
        """Whether somebody should empty it, before it gives up what exists nowhere else."""
        return self.fill >= _BIN_IS_FILLING


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
        is_wanted = self.first_ms > 0 and now_ms - self.asked_ms < _RECONCILE_WANTED_MS
        return quiet_ms if is_wanted and quiet_ms > max(_RECONCILE_LATE_MS, 4 * self.every_ms) else 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The ledger at one moment. Times are Unix ms by Redis's clock, 0 where there is none."""

    now_ms: int
    queues: dict[str, int]
    states: dict[State, int]
    counters: dict[str, int]
    lane: Lane
    memory: Memory
    oldest_ready_ms: int
    earliest_due_ms: int
    oldest_dead_ms: int
    besides: int
    revisions_kept: int
    rejected_kept: int
    logbook_lines: int = 0
    retention: tuple[Retention, ...] = ()
    alerts: tuple[Alert, ...] = ()
    audited: Accounts | None = None
    """What the last audit found; `accounts` judges it together with this moment."""
    earliest_lease_end_ms: int = 0
    audio_ending: int = 0
    """Ready reports whose audio links end within five minutes."""
    last_tick_ms: int = 0
    """When a worker last ticked, up to ten seconds too early; 0: none ever did."""
    replays: Replays = Replays()
    reconciled: Reconciled | None = None
    """None: no worker ever had Vapi's key, and nobody compared by hand."""
    losses: tuple[Loss, ...] = ()
    """What was promised and is not in this ledger, as those that remember it have noted."""
    unread: tuple[Unread, ...] = ()
    """What webhooks' spools cannot give back."""

    setup: "Setup | None" = None
    """How the worker was set up that started last, or noticed another token last."""
    unnamed_share: float = 0.0
    """Share of the latest two hundred or so deliveries in which Roark did not name the call."""

    @property
    def unconfirmed(self) -> int:
        """Delivered reports that Roark did not name and nobody has confirmed; their payloads are kept."""
        return self.queues.get(UNCONFIRMED, 0)

    @property
    def confirmed(self) -> int:
        """All other delivered reports."""
        return self.states[State.DELIVERED] - self.unconfirmed

    @property
    def past_due_seconds(self) -> float:
        """For how long the most overdue report could have been on its way to Roark and was not; 0: none is.

        Ready reports are due since they are ready, waiting ones at their time, uploading ones when their lease ends.
        """
        due = (self.oldest_ready_ms, self.earliest_due_ms, self.earliest_lease_end_ms)
        return max((self.now_ms - since for since in due if 0 < since < self.now_ms), default=0) / 1000

    def total(self, counter: str) -> int:
        """Return a counter's value, 0 where nothing was counted yet."""
        return self.counters.get(counter, 0)

    @property
    def forecast(self) -> Forecast:
        """When the reports that are ready or uploading will be gone; those that wait for a time have that time."""
        lane = self.lane
        backlog = self.states[State.READY] + self.states[State.UPLOADING]
        return forecast(backlog, lane.speed, lane=lane.state, opens_ms=lane.next_ms, now_ms=self.now_ms)

    @property
    def bin(self) -> Bin:
        """How full the rejected bin is."""
        names = ("entries", "bytes", "spare_entries", "spare_bytes", "most", "most_bytes")
        return Bin(*(self.total(f"bin_{name}") for name in names))

    @property
    def audio_ended(self) -> int:
        """Reports not delivered whose audio links ended since they were accepted: Roark will get them without sound."""
        return self.queues.get("silent", 0)

    @property
    def accounts(self) -> Accounts:
        """Whether every report is accounted for: the equation at this moment, and the rest by the last audit."""
        return replace(
            self.audited or Accounts(),
            difference=self.total("accepted") - sum(self.states.values()),
            promises=(
                *(Finding(loss.words(), "roark-ingest repair ledger") for loss in self.losses),
                *(Finding(each.words(), "roark-ingest repair spool") for each in self.unread),
            ),
        )

    @property
    def balanced(self) -> bool:
        """Whether the accounting equation holds: accepted equals the sum over all states."""
        return not self.accounts.difference


@dataclass(frozen=True, slots=True)
class Setup:
    """How workers were set up, and when the first and the latest of them started with it or noticed it (Unix ms).

    `token` is a mark that is another one for another token, `token_ends` its last four characters, "" of a short one.
    `url` is where it uploads to. `settings` are those that differ from their defaults.
    """

    first_ms: int
    latest_ms: int
    starts: int
    version: str
    token: str
    settings: dict[str, str]
    url: str = ""
    token_ends: str = ""


def parse_setup(line: bytes) -> Setup:
    """Read one line of `setups.lua`."""
    first, latest, starts, facts = line.split(b" ", 3)
    said = msgspec.json.decode(facts)
    # Those before did not say where they upload to.
    more = said.get("url", ""), said.get("token_ends", "")
    return Setup(int(first), int(latest), int(starts), said["version"], said["token"], said["settings"], *more)


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


def parse_history(text: bytes) -> tuple[Event, ...]:
    """Read history lines: time, event, detail."""
    events = []
    for line in text.splitlines():
        at, name, detail = line.split(b" ", 2)
        events.append(Event(int(at), name.decode(), msgspec.json.decode(detail)))
    return tuple(events)


def parse_entry(call_id: str, reply: list[Any]) -> Entry | None:
    """Read the answer of `look.lua`; None for a call that was never seen."""
    now, record, erased, score, history, packed, beside, revision, original, *more = reply
    if not record and erased == 0:
        return None
    return Entry(
        call_id=call_id,
        asked_ms=int(now),
        record=Record.parse(record) if record else None,
        erased=erased == 1,
        score_ms=int(float(score)),
        history=parse_history(history),
        packed=packed,
        has_newer=bool(beside),
        has_revision=bool(revision),
        original=original,
        unconfirmed_ms=int(float(more[0])) if more else 0,
    )


def parse_page(place: str, reply: list[Any]) -> LetterPage:
    """Read the answer of `page.lua`."""
    youngest, more, *rows = reply
    last = (int(rows[-1][1]), rows[-1][0].decode()) if more == 1 and rows else None
    return LetterPage(int(youngest), last, tuple(_parse_letter(place, row) for row in rows if row[2]))


def _parse_letter(place: str, row: list[Any]) -> DeadLetter:
    call_id, score, text, lines, edited, properties = row
    history, record = parse_history(lines), Record.parse(text)
    named = (str(event.detail["assistant"]) for event in reversed(history) if "assistant" in event.detail)
    return DeadLetter(
        call_id=call_id.decode(),
        since_ms=int(score) if place in _BY_SINCE else record.since_ms,
        record=record,
        history=history,
        assistant=next(named, ""),
        properties=properties,
        edited=edited == 1,
        place=place,
        score_ms=int(score),
    )


def parse_snapshot(reply: list[Any]) -> Snapshot:
    """Read the answer of `snapshot.lua`."""
    now, sizes, counters, lane, facts, replays, retention, alerts, *rest = reply
    promises, setup = rest
    _, losses, unread = parse_promises(promises)
    queues = {name.decode(): int(size) for name, size in _pairs(sizes)}
    counted = {name.decode(): int(value) for name, value in _pairs(counters) if value.isdigit()}
    lane_fields = {name.decode(): value.decode() for name, value in _pairs(lane)}
    oldest_ready, earliest_due, oldest_dead, besides, revisions, rejected, logged, *more = map(int, facts)
    lease_end, audio_ending, *memory = more
    return Snapshot(
        now_ms=int(now),
        queues=queues,
        states={
            State.READY: queues["fresh"] + queues["retry"] + queues["replay"],
            State.UPLOADING: queues["uploading"],
            State.WAITING: queues["waiting"],
            State.DELIVERED: counted.get("delivered", 0),
            State.DEAD: queues["dead"],
            State.DISCARDED: queues["discarded"],
            State.EXPIRED: counted.get("expired", 0),
            State.ERASED: counted.get("erased", 0),
        },
        counters=counted,
        lane=_parse_lane(lane_fields, int(now)),
        memory=_parse_memory(lane_fields, *memory, now_ms=int(now)),
        oldest_ready_ms=oldest_ready,
        earliest_due_ms=earliest_due,
        oldest_dead_ms=oldest_dead,
        besides=besides,
        revisions_kept=revisions,
        rejected_kept=rejected,
        logbook_lines=logged,
        retention=tuple(Retention(_kept_state(state), *map(int, numbers)) for state, *numbers in retention),
        alerts=tuple(parse_alerts(alerts)),
        audited=_parse_audited(lane_fields),
        earliest_lease_end_ms=lease_end,
        audio_ending=audio_ending,
        last_tick_ms=int(lane_fields.get("promoted_at", 0)),
        unnamed_share=float(lane_fields.get("unnamed", 0)),
        setup=parse_setup(setup) if setup else None,
        replays=Replays(**{name.decode(): int(number) for name, number in _pairs(replays)}),
        reconciled=_parse_reconciled(lane_fields),
        losses=losses,
        unread=unread,
    )


def _kept_state(state: bytes) -> State | Literal["unconfirmed"]:
    return UNCONFIRMED if state == b"unconfirmed" else State(state.decode())


def parse_lane_news(reply: list[Any]) -> LaneNews | None:
    """Read the answer of `lane_news.lua`; None where it is nobody's turn, or another one's."""
    if not reply:
        return None
    now, ready, lane = reply
    fields = {name.decode(): value.decode() for name, value in _pairs(lane)}
    return LaneNews(_parse_lane(fields, int(now)), int(ready))


def _parse_lane(fields: dict[str, str], now_ms: int) -> Lane:
    def number(name: str) -> int:
        return int(float(fields.get(name, 0)))

    state, reason, since, following = "open", "", 0, 0
    if fields.get("state") == "held":
        state, reason = "held", fields.get("reason", "")
        probe_at = number("probe_at")
        since, following = number("since"), max(probe_at, number("paused_until")) if probe_at else 0
    elif "breaker_until" in fields:
        until = max(number("breaker_until"), number("paused_until"))
        state = "breaker-open" if until > now_ms else "half-open"
        reason, since, following = _breaker_reason(fields), number("breaker_since"), until
    elif (until := number("paused_until")) > now_ms:
        state, reason = "throttled", "Roark asked us to wait"
        since, following = number("paused_since"), until
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
    )


def _breaker_reason(fields: dict[str, str]) -> str:
    causes = ", ".join(f"{cause}: {number}" for cause, number in _evidence(fields, "failures").reasons.items())
    return ": ".join(filter(None, (fields.get("evidence", ""), causes)))


def _parse_evidence(fields: dict[str, str], state: str, passed_ms: int) -> Evidence:
    if state == "held":
        found = _evidence(fields, "refusals")
        return Evidence(found.reasons, found.calls, int(float(fields.get("refused", 0))), passed_ms)
    return _evidence(fields, "failures") if state in {"breaker-open", "half-open"} else Evidence()


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


def _parse_audited(fields: dict[str, str]) -> Accounts | None:
    if "audit_at" not in fields:
        return None
    return Accounts(
        at_ms=int(fields["audit_at"]),
        difference=int(fields["audit_difference"]),
        broken=int(fields["audit_broken"]),
        miscounted=tuple(filter(None, fields.get("audit_miscounted", "").split("\n"))),
        looked_at=int(fields["audit_looked_at"]),
        took_ms=int(fields["audit_took"]),
    )


def _parse_reconciled(fields: dict[str, str]) -> Reconciled | None:
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


def _parse_memory(fields: dict[str, str], used: int, most: int, *, now_ms: int) -> Memory:
    is_fresh = now_ms - int(fields.get("memory_at", 0)) < _GROWTH_LASTS_MS
    return Memory(
        used=used or int(fields.get("memory_used", 0)),
        most=most or int(fields.get("memory_most", 0)),
        growth_per_second=float(fields.get("memory_rate", 0)) if is_fresh else 0.0,
        short=fields.get("memory_short") == "1",
    )


def _pairs(flat: list[Any]) -> list[tuple[bytes, bytes]]:
    return list(zip(flat[::2], map(_as_bytes, flat[1::2]), strict=True))


def _as_bytes(value: bytes | int) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()

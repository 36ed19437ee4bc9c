"""The whole ledger at one moment: states, counters, lane, memory, the last audit. Format: `snapshot.lua`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from roark_ledger.lifecycle import State
from roark_ledger.partitions.naming import away_in_words
from roark_ledger.places import QUEUES, UNCONFIRMED
from roark_ledger.records.accounts import Accounts, Finding
from roark_ledger.records.alerts import Alert, parse_alerts
from roark_ledger.records.forecast import Forecast, Inflow, forecast
from roark_ledger.records.lane import Lane, parse_lane
from roark_ledger.records.moving import Moving, parse_moving
from roark_ledger.records.promises import Loss, Unread, parse_promises
from roark_ledger.records.receipts import NO_RECEIPTS, Receipts, parse_receipts
from roark_ledger.records.reconciled import Reconciled, parse_reconciled
from roark_ledger.records.reply import pairs
from roark_ledger.records.setup import Setup, parse_setup

SHORT_SHARE = 0.85
"""Share of maxmemory from which accept refuses reports; written in `accept.lua` as SHORT_FROM."""
_GROWTH_LASTS_MS = 60_000
_BIN_IS_FILLING = 0.8


@dataclass(frozen=True, slots=True)
class Memory:
    """The server's memory in bytes; `most` 0 is no limit. Refused from `SHORT_SHARE`, which `short` tells.

    The growth is the mean over the last accepts, and 0 when there was none for a minute.
    """

    used: int
    most: int
    growth_per_second: float
    short: bool
    intake: Inflow | None = None
    """None: nothing came in since a version that measures it."""

    @property
    def seconds_to_short(self) -> float | None:
        """When reports will be refused if memory goes on growing like this; None where it does not, or has no limit."""
        room = self.most * SHORT_SHARE - self.used
        if self.most == 0 or self.growth_per_second <= 0:
            return None
        return max(0.0, room / self.growth_per_second)

    def outage_seconds(self, times: int = 1) -> float | None:
        """For how long reports fit in, at today's rate, while none is delivered: with so many times the limit.

        None where there is no limit, or no rate to go by.
        """
        if self.most == 0 or self.intake is None or self.intake.bytes_per_second <= 0:
            return None
        return max(0.0, self.most * times * SHORT_SHARE - self.used) / self.intake.bytes_per_second


@dataclass(frozen=True, slots=True)
class ReplayCounts:
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
    """How full the rejected bin is. What is spare makes room for the rest (see `_bin.lua`), so it fills nothing.

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
    replays: ReplayCounts = ReplayCounts()
    receipts: Receipts = NO_RECEIPTS
    reconciled: Reconciled | None = None
    """None: no worker ever had Vapi's key, and nobody compared by hand."""
    losses: tuple[Loss, ...] = ()
    """What was promised and is not in this ledger, as those that remember it have noted."""
    unread: tuple[Unread, ...] = ()
    """What webhooks' spools cannot give back."""
    spooled_because: Mapping[str, str] = field(default_factory=dict)
    """Why reports wait in webhooks' spools, in words, by `HOST:FOLDER`; a webhook that started since does not know."""

    setup: "Setup | None" = None
    """How the worker was set up that started last, or noticed another token last."""
    moving: Moving | None = None
    """None: no calls are being moved into partitions."""
    unnamed_share: float = 0.0
    """Share of the latest two hundred or so deliveries in which Roark did not name the call."""
    partitions: int = 1
    away: tuple[int, ...] = ()
    """The partitions that did not answer: nothing of them is in any of these figures."""

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
    def taken_over(self) -> int:
        """How many calls are here that were accepted elsewhere, less those that were moved away: 0 of a whole ledger.

        While calls are moved, those that their partitions have and that were not dropped yet stand here twice.
        """
        return self.total("adopted") - self.total("moved")

    @property
    def accounts(self) -> Accounts:
        """Whether every report is accounted for: the equation at this moment, and the rest by the last audit.

        While a partition is away the equation says nothing, and nobody may call what lies in it missing.
        """
        return replace(
            self.audited or Accounts(),
            difference=0 if self.away else self.total("accepted") + self.taken_over - sum(self.states.values()),
            promises=(
                *(Finding(loss.words(), "roark-ingest repair ledger") for loss in self.losses),
                *(Finding(each.words(), "roark-ingest repair spool") for each in self.unread),
            ),
        )

    @property
    def away_in_words(self) -> str:
        """Say which partitions are away, "" where all are there."""
        return away_in_words(self.away, self.partitions) if self.away else ""

    @property
    def balanced(self) -> bool:
        """Whether the accounting equation holds: accepted equals the sum over all states."""
        return not self.accounts.difference


def parse_snapshot(reply: list[Any]) -> Snapshot:
    """Read the answer of `snapshot.lua`."""
    now, sizes, counters, lane, facts, replays, retention, alerts, *rest = reply
    promises, setup = (*rest, (), b"")[:2]
    losses, unread, spooled_because = parse_promises(promises)
    queues = {name.decode(): int(size) for name, size in pairs(sizes)}
    counted = {name.decode(): int(value) for name, value in pairs(counters) if value.isdigit()}
    lane_fields = {name.decode(): value.decode() for name, value in pairs(lane)}
    oldest_ready, earliest_due, oldest_dead, besides, revisions, rejected, logged, *more = map(int, facts)
    lease_end, audio_ending, *memory = more
    return Snapshot(
        now_ms=int(now),
        queues=queues,
        states={
            State.READY: sum(queues[queue] for queue in QUEUES.values()),
            State.UPLOADING: queues["uploading"],
            State.WAITING: queues["waiting"],
            State.DELIVERED: counted.get("delivered", 0),
            State.DEAD: queues["dead"],
            State.DISCARDED: queues["discarded"],
            State.EXPIRED: counted.get("expired", 0),
            State.ERASED: counted.get("erased", 0),
        },
        counters=counted,
        lane=parse_lane(lane_fields, int(now)),
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
        replays=ReplayCounts(**{name.decode(): int(number) for name, number in pairs(replays)}),
        reconciled=parse_reconciled(lane_fields),
        receipts=parse_receipts(lane_fields, counted, queues.get("receipts", 0)),
        losses=losses,
        unread=unread,
        spooled_because=spooled_because,
        moving=parse_moving(dict(pairs(promises))),
    )


def _kept_state(state: bytes) -> State | Literal["unconfirmed"]:
    return UNCONFIRMED if state == b"unconfirmed" else State(state.decode())


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


def _parse_memory(fields: dict[str, str], used: int, most: int, *, now_ms: int) -> Memory:
    is_fresh = now_ms - int(fields.get("memory_at", 0)) < _GROWTH_LASTS_MS
    used, most = used or int(fields.get("memory_used", 0)), most or int(fields.get("memory_most", 0))
    return Memory(
        used=used,
        most=most,
        growth_per_second=float(fields.get("memory_rate", 0)) if is_fresh else 0.0,
        # Noted by what is accepted: of a server that takes nothing at all any more it would never be.
        short=fields.get("memory_short") == "1" or 0 < most * SHORT_SHARE < used,
        intake=_parse_intake(fields),
    )


def _parse_intake(fields: dict[str, str]) -> Inflow | None:
    if "intake_ps" not in fields:
        return None
    return Inflow(float(fields["intake_ps"]), float(fields["intake_bytes"]))

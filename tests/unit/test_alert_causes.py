"""What there is cause for an alert about: each kind from its own facts, told in full, naming nobody."""

from dataclasses import replace

import pytest

from roark_ledger.lifecycle import State
from roark_ledger.records.accounts import Accounts
from roark_ledger.records.alerts import AlertKind, Facts, NotedSpool
from roark_ledger.records.forecast import Speed
from roark_ledger.records.lane import Lane
from roark_ledger.records.promises import Loss, Unread, UnreadFile
from roark_ledger.records.receipts import Receipts
from roark_ledger.records.reconciled import Reconciled
from roark_ledger.records.snapshot import Memory, Retention, Snapshot
from roark_worker.alerts.causes import AlertRules, causes

NOW = 1_760_000_000_000
MINUTE = 60_000
RULES = AlertRules(deaths=25, lately_ms=10 * MINUTE, breaker_ms=5 * MINUTE, audio_ms=60 * MINUTE)
NOTHING = Facts(deaths=0, newest_reason="", fading=0, held_up=0, spools=())
PHONE = "+15550101234"


def lane(state: str = "open", *, reason: str = "", by: str = "roark", since_ms: int = NOW - MINUTE) -> Lane:
    return Lane(state, reason, by, since_ms, 0, 0)


def snapshot(**facts: object) -> Snapshot:
    calm = Snapshot(
        now_ms=NOW,
        queues={},
        states=dict.fromkeys(State, 0),
        counters={},
        lane=lane(),
        memory=Memory(0, 0, 0.0, short=False),
        oldest_ready_ms=0,
        earliest_due_ms=0,
        oldest_dead_ms=0,
        besides=0,
        revisions_kept=0,
        rejected_kept=0,
    )
    return replace(calm, **facts)  # type: ignore[arg-type]


def dead(number: int) -> Snapshot:
    return snapshot(states=dict.fromkeys(State, 0) | {State.DEAD: number}, counters={"accepted": number})


def behind(state: str, *, delivered_per_second: float, late_ms: int = 10 * MINUTE, since_ms: int = 0) -> Snapshot:
    """Ten reports a second come in, 5 000 are ready."""
    return snapshot(
        states=dict.fromkeys(State, 0) | {State.READY: 5000, State.DELIVERED: 100},
        counters={"accepted": 5100},
        oldest_ready_ms=NOW - late_ms,
        lane=replace(lane(state, since_ms=since_ms), speed=Speed(10, delivered_per_second, NOW - 1000)),
    )


def reconciled(**facts: object) -> Reconciled:
    fine = Reconciled(
        first_ms=NOW - 600 * MINUTE,
        asked_ms=NOW,
        every_ms=15 * MINUTE,
        at_ms=NOW - 5 * MINUTE,
        tried_ms=NOW - 5 * MINUTE,
        watermark_ms=NOW - 20 * MINUTE,
        missing=0,
        error="",
        running=False,
        result={},
    )
    return replace(fine, **facts)  # type: ignore[arg-type]


CASES: dict[AlertKind, tuple[Snapshot, Facts]] = {
    AlertKind.DEAD_LETTERS: (dead(3), replace(NOTHING, newest_reason="http_422")),
    AlertKind.DEAD_LETTERS_GROWING: (snapshot(), replace(NOTHING, deaths=25, newest_reason="http_422")),
    AlertKind.LANE_HELD: (snapshot(lane=lane("held", reason=f"http_401 {PHONE} is odd")), NOTHING),
    AlertKind.BREAKER_OPEN: (snapshot(lane=lane("breaker-open", since_ms=NOW - 5 * MINUTE)), NOTHING),
    AlertKind.AUDIO_ENDING: (snapshot(), replace(NOTHING, fading=2)),
    AlertKind.RETENTION: (snapshot(retention=(Retention(State.DEAD, 9, 9, 4, NOW + MINUTE),)), NOTHING),
    AlertKind.AUDIT_BROKEN: (snapshot(audited=Accounts(broken=2, at_ms=NOW)), NOTHING),
    AlertKind.SPOOL_IN_USE: (
        snapshot(),
        replace(NOTHING, spools=(NotedSpool("host-1:/data/spool", 7000, NOW - MINUTE, NOW),)),
    ),
    AlertKind.UNCONFIRMED: (snapshot(queues={"unconfirmed": 7}, unnamed_share=0.05), NOTHING),
    AlertKind.REJECTED_FILLING: (snapshot(counters={"bin_entries": 9, "bin_most": 10}), NOTHING),
    AlertKind.MEMORY_SHORT: (snapshot(memory=Memory(9, 10, 1.0, short=True)), NOTHING),
    AlertKind.FALLING_BEHIND: (behind("open", delivered_per_second=8), NOTHING),
    AlertKind.CALLS_MISSING: (snapshot(reconciled=reconciled(missing=3)), NOTHING),
    AlertKind.RECONCILE_STALE: (snapshot(reconciled=reconciled(at_ms=NOW - 121 * MINUTE, error="key")), NOTHING),
    AlertKind.LEDGER_LOST: (snapshot(losses=(Loss("id", 4, 4, 2, NOW, NOW, went_back=False),)), NOTHING),
    AlertKind.SPOOL_UNREADABLE: (
        snapshot(unread=(Unread("host:/spool", (UnreadFile("a.damaged", "why", 2),)),)),
        NOTHING,
    ),
    AlertKind.RECEIPTS_MISSING: (snapshot(receipts=Receipts(late=3, unseen_share=0.06)), NOTHING),
    AlertKind.PARTITION_AWAY: (snapshot(partitions=16, away=(3, 5)), NOTHING),
}


@pytest.mark.parametrize(
    "fine",
    [
        {},
        {"at_ms": NOW - 119 * MINUTE},
        {"at_ms": 0, "first_ms": NOW - 60 * MINUTE},
        {"at_ms": NOW - 180 * MINUTE, "every_ms": 60 * MINUTE},
        {"at_ms": NOW - 180 * MINUTE, "asked_ms": NOW - 20 * MINUTE},
    ],
)
def test_a_comparison_in_time_or_that_nobody_wants_any_more_is_no_cause(fine: dict[str, int]) -> None:
    assert causes(snapshot(reconciled=reconciled(**fine)), NOTHING, RULES) == {}


def test_one_that_never_came_to_an_end_is_a_cause_after_two_hours() -> None:
    never = reconciled(at_ms=0, first_ms=NOW - 121 * MINUTE)

    assert set(causes(snapshot(reconciled=never), NOTHING, RULES)) == {AlertKind.RECONCILE_STALE}


def test_deliveries_that_cannot_be_looked_up_are_told_with_the_reason_and_a_few_late_ones_are_not() -> None:
    due_ms = NOW - 61 * MINUTE
    silent = snapshot(receipts=Receipts(open=1, due_ms=due_ms, error="token"))

    assert "does not let the token read calls" in causes(silent, NOTHING, RULES)[AlertKind.RECEIPTS_MISSING].explanation
    assert causes(snapshot(receipts=Receipts(open=1, due_ms=NOW - 59 * MINUTE)), NOTHING, RULES) == {}
    assert causes(snapshot(receipts=Receipts(late=2, unseen_share=0.5)), NOTHING, RULES) == {}
    assert causes(snapshot(receipts=Receipts(late=900, unseen_share=0.05)), NOTHING, RULES) == {}


def test_a_calm_pipeline_gives_no_cause() -> None:
    assert causes(snapshot(), NOTHING, RULES) == {}


@pytest.mark.parametrize("state", ["open", "throttled", "breaker-open", "half-open"])
def test_falling_behind_is_told_whatever_the_lanes_state_is_called(state: str) -> None:
    opened = NOW - 10_000 if state in {"breaker-open", "half-open"} else 0

    assert set(causes(behind(state, delivered_per_second=3, since_ms=opened), NOTHING, RULES)) == {
        AlertKind.FALLING_BEHIND
    }


@pytest.mark.parametrize(
    "calm",
    [
        behind("open", delivered_per_second=60),
        behind("open", delivered_per_second=3, late_ms=MINUTE),
        behind("breaker-open", delivered_per_second=3, late_ms=4 * MINUTE, since_ms=NOW - 3 * MINUTE),
    ],
    ids=["the backlog shrinks", "nothing is late yet", "the breaker is the reason, and has its own alert"],
)
def test_what_is_no_falling_behind(calm: Snapshot) -> None:
    assert causes(calm, NOTHING, RULES) == {}


def test_there_is_a_case_for_each_kind() -> None:
    assert set(CASES) == set(AlertKind)


@pytest.mark.parametrize("kind", list(AlertKind))
def test_each_kind_has_its_cause_and_tells_it_in_full(kind: AlertKind) -> None:
    found = causes(*CASES[kind], RULES)

    assert set(found) == {kind}
    message = found[kind]
    assert message.headline.endswith(".")
    assert message.explanation.endswith(".")
    assert message.command.startswith("roark-ingest ")
    assert "this version does not know" not in message.explanation


@pytest.mark.parametrize("by", ["roark", f"ada {PHONE}"])
def test_a_hold_names_nobody_whatever_was_written(by: str) -> None:
    found = causes(snapshot(lane=lane("held", reason=f"http_401 {PHONE}", by=by)), NOTHING, RULES)

    assert PHONE not in str(found)


@pytest.mark.parametrize(
    ("state", "fading", "told"), [("open", 0, False), ("held", 0, True), ("open", 1, True), ("breaker-open", 0, True)]
)
def test_audio_of_ready_reports_matters_only_while_nothing_is_uploaded(state: str, fading: int, told: bool) -> None:
    facts = replace(NOTHING, held_up=5, fading=fading)

    assert (AlertKind.AUDIO_ENDING in causes(snapshot(lane=lane(state)), facts, RULES)) is told


def test_audio_that_has_ended_is_told_until_its_reports_are_delivered_or_given_up() -> None:
    told = causes(snapshot(queues={"silent": 3}), NOTHING, RULES)[AlertKind.AUDIO_ENDING]
    assert told.headline.startswith("The audio links of 3 reports have expired;")
    assert told.command == "roark-ingest list --audio ended"

    both = causes(snapshot(queues={"silent": 3}), replace(NOTHING, fading=2), RULES)[AlertKind.AUDIO_ENDING]
    assert both.headline.startswith("The audio links of 2 reports expire within")
    assert "of 3 reports have expired" in both.explanation
    assert both.command == "roark-ingest list --audio-ends-within 60min"


def test_a_breaker_that_opened_just_now_is_no_cause() -> None:
    assert causes(snapshot(lane=lane("breaker-open", since_ms=NOW - 5 * MINUTE + 1)), NOTHING, RULES) == {}
    assert causes(snapshot(lane=lane("half-open", since_ms=NOW - 5 * MINUTE)), NOTHING, RULES)


def test_fewer_deaths_than_the_setting_are_no_growth() -> None:
    assert causes(snapshot(), replace(NOTHING, deaths=24), RULES) == {}


@pytest.mark.parametrize(
    ("known", "says"),
    [
        (
            {"host-1:/data/spool": "Redis does not take commands: MISCONF"},
            "Redis does not take commands: MISCONF. They",
        ),
        ({}, "Redis was unreachable or full. They"),
    ],
)
def test_why_reports_are_in_a_spool_is_told_where_the_webhook_knows_it(known: dict[str, str], says: str) -> None:
    noted = replace(NOTHING, spools=(NotedSpool("host-1:/data/spool", 7000, NOW - MINUTE, NOW),))
    found = causes(snapshot(spooled_because=known), noted, RULES)[AlertKind.SPOOL_IN_USE]
    assert found.explanation.startswith(says)

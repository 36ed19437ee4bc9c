"""`roark_ops.DeadLetters` on a real server: frozen selections, moves by batches, wake-ups."""

import io
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from clocks import Clock
from replaying import replay_at_once
from servers import Server

from roark_ledger.ids import CallId
from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import delivery, intake, watch
from roark_ledger.moves.delivery import Bury, Deliver, Held
from roark_ledger.moves.intake import Acceptable
from roark_ledger.packing import pack
from roark_ledger.server.connection import connect
from roark_ops import DeadLetters, Filter
from roark_ops.desk.dead_letters import Exported
from roark_ops.mending.editing import read_settings
from roark_producer.producer import Producer
from roark_producer.settings import IngestSettings


@pytest.fixture
def ledger(valkey: Server, prefix: str, clock: Clock) -> Iterator[Ledger]:
    with connect(valkey.url) as client:
        yield Ledger(client, prefix=prefix, clock=clock)


@pytest.fixture
def woken() -> list[int]:
    return []


@pytest.fixture
def desk(ledger: Ledger, woken: list[int]) -> DeadLetters:
    return DeadLetters(ledger, by="ada", wake=woken.append)


def bury(ledger: Ledger, *call_ids: str) -> None:
    reports = [Acceptable(CallId(call_id), "print", pack(b"{}")) for call_id in call_ids]
    ledger.run(intake.accept(reports, revisions="record", per_wakeup=64))
    detail = msgspec.json.encode({"attempt": 1, "status": 422, "reason": "http_422", "message": "no"})
    while claimed := ledger.run(delivery.claim(wanted=500, lease_ms=9000, listen_ms=0, most_bytes=10**9)).reports:
        outcomes = [Bury(Held(one.call_id, one.token), "http_422", detail) for one in claimed]
        ledger.run(delivery.bury(outcomes))


def leave_unconfirmed(ledger: Ledger, *call_ids: str) -> None:
    """Have reports delivered without Roark naming their calls."""
    reports = [Acceptable(CallId(call_id), "print", pack(b"{}")) for call_id in call_ids]
    ledger.run(intake.accept(reports, revisions="record", per_wakeup=64))
    while claimed := ledger.run(delivery.claim(wanted=500, lease_ms=9000, listen_ms=0, most_bytes=10**9)).reports:
        outcomes = [Deliver(Held(one.call_id, one.token), "", b'{"status":200}') for one in claimed]
        ledger.run(delivery.deliver(outcomes, keep_payloads=False))


def names(number: int, start: int = 0) -> list[str]:
    return [f"c-{place:05}" for place in range(start, start + number)]


def test_a_selection_of_thousands_is_frozen_whole_and_in_order(ledger: Ledger, desk: DeadLetters) -> None:
    bury(ledger, *names(1203))
    assert list(desk.freeze()) == names(1203)


def test_what_dies_while_a_selection_is_made_is_not_in_it(ledger: Ledger, desk: DeadLetters, clock: Clock) -> None:
    bury(ledger, *names(600))
    walking = desk.find()
    first = next(walking)
    clock.advance(1)
    bury(ledger, *names(10, start=600))
    assert [first.call_id, *(letter.call_id for letter in walking)] == names(600)


def test_letters_that_others_take_out_meanwhile_hide_no_other(ledger: Ledger, desk: DeadLetters) -> None:
    bury(ledger, *names(1203))
    walking = desk.find()
    seen = [next(walking).call_id for _ in range(100)]
    replay_at_once(ledger, names(400))
    seen += [letter.call_id for letter in walking]
    assert set(names(1203)[500:]) <= set(seen)
    assert len(seen) == len(set(seen))


def test_a_resend_is_told_call_by_call_and_wakes_for_what_became_ready(
    ledger: Ledger, desk: DeadLetters, woken: list[int]
) -> None:
    leave_unconfirmed(ledger, *names(700))
    moved = desk.resend([*names(701), "c-00000"])
    assert [one.result for one in moved] == ["replayed"] * 700 + ["unknown"]
    assert woken == [700]
    assert [one.result for one in desk.resend(names(1))] == ["ready"]
    assert woken == [700]
    snapshot = ledger.run(watch.snapshot())
    assert (snapshot.states[State.READY], snapshot.states[State.DEAD], snapshot.balanced) == (700, 0, True)


def test_every_move_names_who_asked_for_it(ledger: Ledger, desk: DeadLetters) -> None:
    bury(ledger, "c-1")
    assert [one.result for one in desk.discard(["c-1"])] == ["discarded"]
    assert [letter.call_id for letter in desk.find(state=State.DISCARDED)] == ["c-1"]
    assert [one.result for one in desk.restore(["c-1"])] == ["restored"]
    entry = desk.show("c-1")
    assert entry
    assert [(event.name, event.detail.get("by")) for event in entry.history[1:]] == [
        ("discarded", "ada"),
        ("restored", "ada"),
    ]


def test_groups_and_pages_are_read_from_the_ledger(ledger: Ledger, desk: DeadLetters) -> None:
    bury(ledger, *names(5))
    (group,) = desk.groups()
    assert (group.count, group.reason, group.status, group.message) == (5, "http_422", 422, "no")
    page = desk.page(limit=2)
    assert [letter.call_id for letter in page.letters] == names(2)
    rest = desk.page(limit=3, behind=page.following)
    assert ([letter.call_id for letter in rest.letters], rest.following) == (names(3, start=2), None)


def test_what_differs_between_the_letters_of_a_group_is_not_told_of_one_of_them_alone(
    ledger: Ledger, desk: DeadLetters
) -> None:
    for number in range(30):
        payload = b'{"endedReason":"word-%d"}' % max(21, number)
        one = Acceptable(CallId(f"c-{number:02}"), "print", pack(payload))
        ledger.run(intake.accept([one], revisions="record", per_wakeup=64))
    refuse(ledger, message="bad", parameter="endedReason")
    (group,) = desk.groups()
    assert desk.explain(group).value == 'which is "word-21" in 12 of the 20 latest (9 different values)'
    (few,) = desk.groups(Filter(text="c-2"))
    assert few.count == 10
    assert desk.explain(few).value == 'which is "word-21" in 2 of 10 (9 different values)'


def test_from_python_a_group_is_found_explained_mended_and_replayed(ledger: Ledger, desk: DeadLetters) -> None:
    for name in ("c-1", "c-2"):
        payload = b'{"type":"end-of-call-report","call":{"id":"%s"},"endedAt":null}' % name.encode()
        one = Acceptable(CallId(name), "print", pack(payload))
        ledger.run(intake.accept([one], revisions="record", per_wakeup=64))
    refuse(ledger, message="endedAt must be a time", parameter="message.endedAt")
    bury(ledger, "other")
    group = desk.groups(Filter(text="ENDEDAT"))[0]
    assert group.count == 2
    assert desk.explain(group).value == "which is null"
    chosen = desk.freeze(Filter(groups=(group.name,)))
    mend = read_settings(["message.endedAt=2026-01-31T10:00:00Z"])
    assert [one.result for one in desk.edit(chosen, mend, dry_run=True)] == ["edited", "edited"]
    assert list(desk.find(Filter(edited=True))) == []
    assert [one.result for one in desk.edit(chosen, mend)] == ["edited", "edited"]
    assert [one.result for one in desk.undo(["c-2", "other"])] == ["unedited", "unchanged"]
    assert [letter.call_id for letter in desk.find(Filter(edited=True))] == ["c-1"]
    assert [one.result for one in desk.resend(["c-1"])] == ["dead"], "that is for deliveries"
    assert replay_at_once(ledger, ["c-1"]) == ["replayed"]


def test_from_python_letters_are_carried_to_another_ledger(
    ledger: Ledger, desk: DeadLetters, valkey: Server, prefix: str, tmp_path: Path
) -> None:
    payload = b'{"type":"end-of-call-report","call":{"id":"c-1"}}'
    one = Acceptable(CallId("c-1"), "print", pack(payload))
    ledger.run(intake.accept([one], revisions="record", per_wakeup=64))
    refuse(ledger, message="no")
    bury(ledger, "c-2")
    file = io.BytesIO()
    assert desk.export(file) == Exported(2, 0)
    lines = file.getvalue().splitlines()
    assert len(lines) == 3
    with connect(valkey.url) as client:
        there = Ledger(client, prefix=f"{prefix}-there")
        producer = Producer(there, IngestSettings(), wake=lambda: None, source="import")
        results = [(one.call_id, one.result) for one in DeadLetters(there, by="ada").import_(lines, producer)]
        assert sorted(results, key=str) == [("c-1", "accepted"), (None, "rejected")]
        assert "duplicate" in {one.result for one in DeadLetters(there, by="ada").import_(lines, producer)}


def test_everything_that_a_desk_does_says_what_it_does() -> None:
    verbs = {name for name in vars(DeadLetters) if not name.startswith("_")}
    assert {"groups", "find", "page", "show", "freeze", "resend", "edit", "undo", "discard", "restore"} <= verbs
    assert {"export", "import_", "explain"} <= verbs
    assert [name for name in verbs if not (getattr(DeadLetters, name).__doc__ or "").strip()] == []


def refuse(ledger: Ledger, **detail: str) -> None:
    """Have everything that is ready refused."""
    said = msgspec.json.encode({"attempt": 1, "status": 422, "reason": "http_422"} | detail)
    claimed = ledger.run(delivery.claim(wanted=500, lease_ms=9000, listen_ms=0, most_bytes=10**9)).reports
    ledger.run(delivery.bury([Bury(Held(one.call_id, one.token), "http_422", said) for one in claimed]))


def test_a_desk_is_made_from_the_environment(
    valkey: Server, ledger: Ledger, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_unconfirmed(ledger, "c-1")
    monkeypatch.setenv("ROARK_INGEST_REDIS_URL", valkey.url)
    monkeypatch.setenv("ROARK_INGEST_PREFIX", prefix)
    with DeadLetters.from_env(by="ada") as desk:
        assert [one.result for one in desk.resend(desk.unconfirmed())] == ["replayed"]
    with connect(valkey.url) as broker:
        assert broker.delete("roark") == 1

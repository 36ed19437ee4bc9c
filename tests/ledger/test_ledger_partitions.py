"""A ledger of four partitions is used, counted, listed and emptied as one."""

from collections import Counter

import pytest
import redis
from clocks import Clock
from replaying import replay_at_once
from workbench import WHO, Workbench, acceptable, held

from roark_ledger.keeping import Keeper
from roark_ledger.ledger import AsyncLedger, Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import delivery, desk, intake, replay, upkeep, watch
from roark_ledger.moves.delivery import Deliver
from roark_ledger.partitions.ledger import AsyncPartedLedger, PartedLedger
from roark_ledger.partitions.placing import PARTITIONS, partition_of, prefixes
from roark_ledger.records.logbook import Action, doer
from roark_ledger.records.replays import JobState, Plan
from roark_ledger.server.connection import connect_async
from roark_ops.desk.finding import Filter
from roark_ops.desk.pages import Cursor, Pages

FOUR = 4
CALLS = [f"call-{number}" for number in range(40)]


@pytest.fixture
def home(real_client: "redis.Redis", prefix: str, clock: Clock) -> Ledger:
    home = Ledger(real_client, prefix=prefix, clock=clock)
    real_client.hset(home.calls.keys.promises, PARTITIONS, FOUR)
    return home


@pytest.fixture
def parted(home: Ledger, clock: Clock) -> PartedLedger:
    return PartedLedger(home, lambda name: Ledger(home.client, prefix=name, clock=clock))


@pytest.fixture
def four(parted: PartedLedger, clock: Clock) -> Workbench:
    """A workbench of four partitions, every call of which was accepted, a moment apart."""
    bench = Workbench(parted, clock)
    for call_id in CALLS:
        bench.accept(call_id)
        clock.advance(1)
    return bench


def test_calls_lie_in_their_partitions_and_none_at_home(four: Workbench, home: Ledger, prefix: str) -> None:
    in_each = Counter(partition_of(call_id, FOUR) for call_id in CALLS)

    sizes = [home.client.hlen(Ledger(home.client, prefix=each).calls.keys.records) for each in prefixes(prefix, FOUR)]
    assert sizes == [in_each[number] for number in range(FOUR)]
    assert min(sizes) > 0
    assert home.client.hlen(home.calls.keys.records) == 0


def test_a_batch_is_answered_in_its_order(four: Workbench) -> None:
    accepted = four.accept_all("new-1", "call-3", ("call-4", "b"), "new-2", "call-3")

    assert [str(result) for result in accepted.results] == [
        "accepted",
        "duplicate",
        "replaced",
        "accepted",
        "duplicate",
    ]
    assert four.run(intake.accept([], revisions="record", per_wakeup=64)).results == ()


def test_the_accounts_are_those_of_all(four: Workbench) -> None:
    reports = four.claim(20).reports
    recorded = four.run(
        delivery.deliver([Deliver(held(one), "at-roark", b"{}") for one in reports[:10]], keep_payloads=False)
    )
    for one in reports[10:13]:
        four.bury(held(one))

    seen = four.run(watch.snapshot())
    assert recorded == [True] * 10
    assert (seen.total("accepted"), seen.states[State.READY], seen.states[State.UPLOADING]) == (40, 20, 7)
    assert (seen.states[State.DELIVERED], seen.states[State.DEAD]) == (10, 3)
    assert seen.balanced
    assert four.run(watch.verify(CALLS)) == []


def test_what_is_listed_comes_in_the_order_of_all_page_by_page(four: Workbench) -> None:
    def listed(place: str, most: int) -> list[str]:
        found, behind, youngest = [], None, 0
        while True:
            page = four.run(desk.page(most=most, place=place, behind=behind, youngest_ms=youngest))
            found += [letter.call_id for letter in page.letters]
            if page.last is None:
                return found
            behind, youngest = page.last, page.youngest_ms

    for most in (1, 3, 7, 100):
        assert listed("fresh", most) == CALLS
    for place, one in enumerate(sorted(four.claim().reports, key=lambda one: int(one.call_id[5:]))):
        four.deliver(held(one))
        four.clock.advance(place % 3 == 0)
    for most in (1, 3, 7, 100):
        found = listed("delivered", most)
        assert sorted(found) == sorted(CALLS)
        assert abs(max(found.index(call_id) - place for place, call_id in enumerate(CALLS[::-1]))) < 3
    standing = four.run(desk.standing(place="dead", most=10))
    assert standing == []


def test_a_list_of_deliveries_goes_on_where_a_person_left_it(four: Workbench) -> None:
    for place, one in enumerate(four.claim().reports):
        four.deliver(held(one))
        four.clock.advance(place % 3 == 0)
    pages, found, behind = Pages(four.ledger), [], None
    while not found or behind:
        page = pages.page(Filter(), ["delivered"], limit=7, behind=behind)
        found += [letter.call_id for letter in page.letters]
        behind = Cursor.parse(str(page.following)) if page.following else None
    assert len(found) == len(CALLS)
    assert set(found) == set(CALLS)


def test_a_list_that_was_begun_before_the_ledger_had_partitions_goes_on_and_misses_nothing(four: Workbench) -> None:
    for one in four.claim().reports:
        four.deliver(held(one))
    at = four.clock.now_ms
    page = four.run(desk.page(most=100, place="delivered", behind=(at, "call-7"), youngest_ms=at))
    assert {letter.call_id for letter in page.letters} == set(CALLS)


def test_what_was_read_of_each_partition_is_shown_and_not_read_again(four: Workbench) -> None:
    sizes, behind, youngest = [], None, 0
    while sum(sizes) < len(CALLS):
        page = four.run(desk.page(most=5, place="fresh", behind=behind, youngest_ms=youngest))
        sizes.append(len(page.letters))
        behind, youngest = page.last, page.youngest_ms
    assert min(sizes[:-1]) > 5
    assert len(sizes) <= len(CALLS) // 5 // 2


def test_the_standing_of_a_place_goes_on_where_it_ended(four: Workbench) -> None:
    found: list[tuple[str, int]] = []
    while page := four.run(
        desk.standing(
            place="fresh",
            from_score=found[-1][1] if found else 0,
            leave_out=sum(score == found[-1][1] for _, score in found) if found else 0,
            most=7,
        )
    ):
        found += page
    assert [call_id for call_id, _ in found] == CALLS


def test_a_hold_holds_all_and_one_probe_ends_it(four: Workbench) -> None:
    four.hold_by_hand()
    assert four.claim(10).reports == ()

    four.run(delivery.resume(by="ada"))
    assert len(four.claim(10).reports) > 0


def test_refusals_of_different_partitions_hold_the_lane_together(four: Workbench) -> None:
    refused = [held(one) for one in four.claim(40).reports][::7]
    assert len({partition_of(one.call_id, FOUR) for one in refused}) > 1

    news = four.refuse(*refused).news

    assert ("lane_held", "http_403 No permission") in news
    assert four.claim(8).reports == ()
    assert four.run(watch.snapshot()).lane.state == "held"


def test_lost_workers_reports_come_back_from_wherever_they_are(four: Workbench) -> None:
    four.claim(40, lease_ms=1000)
    four.clock.advance(1001)

    assert four.reap().reclaimed == 40
    assert four.run(watch.snapshot()).states[State.READY] == 40
    four.clock.advance(1000)
    assert len(four.claim(40).reports) == 40


def test_a_replay_job_is_one_job(four: Workbench) -> None:
    for one in four.claim(40).reports:
        four.bury(held(one))

    job = four.run(replay.open_job(most_open=8))
    assert job is not None
    letters = four.run(desk.page(most=100)).letters
    assert set(four.run(replay.select(job, [(one.call_id, one.since_ms) for one in letters]))) == {"selected"}
    assert four.run(replay.start(job, Plan(ramp=(4, 8), per_second=400), delay_ms=0, who=WHO, spec=b'{"a":1}'))
    whole = four.run(replay.job(job))
    assert whole is not None
    assert (whole.selected, whole.unsent, whole.state, whole.plan.ramp) == (40, 40, JobState.RUNNING, (4, 8))
    assert (whole.plan.per_second, whole.spec) == (400, {"a": 1})

    step = replay.step(most=100, queue_most=500, patience_ms=1, silence_ms=1000, keep_ms=0)
    told: list[tuple[str, int, str]] = []
    for _ in range(100):
        four.clock.advance(100)
        told += four.run(step).news
        for one in four.claim().reports:
            four.deliver(held(one))
    whole = four.run(replay.job(job))
    assert whole is not None
    assert (whole.state, whole.sent, whole.delivered, whole.outstanding) == (JobState.ENDED, 40, 40, 0)
    assert [(what, number) for what, number, _ in told] == [("ended", job)]
    assert [each.number for each in four.run(replay.jobs()).jobs] == [job]


def test_a_replay_job_that_fails_in_one_partition_stops_in_all(four: Workbench) -> None:
    for one in four.claim(40).reports:
        four.bury(held(one))
    job = four.run(replay.open_job(most_open=8))
    assert job is not None
    letters = four.run(desk.page(most=100)).letters
    four.run(replay.select(job, [(one.call_id, one.since_ms) for one in letters]))
    four.run(replay.start(job, Plan(), delay_ms=0, who=WHO, spec=b"{}"))
    step = replay.step(most=100, queue_most=500, patience_ms=1, silence_ms=1000, keep_ms=0)

    told: list[tuple[str, int, str]] = []
    for _ in range(4):
        four.clock.advance(100)
        told += four.run(step).news
        for one in four.claim().reports:
            four.bury(held(one))

    whole = four.run(replay.job(job))
    assert whole is not None
    assert (whole.state, whole.stopped_itself, [what for what, *_ in told]) == (JobState.PAUSED, True, ["stopped"])
    assert whole.unsent > 20
    assert four.run(replay.change(job, "cancel", by="ada", reason="", most=500)).remaining == 0
    assert replay_at_once(four.ledger, CALLS[:3], WHO) == ["replayed"] * 3


def test_the_log_is_one_log(four: Workbench) -> None:
    for one in four.claim(40).reports:
        four.bury(held(one))
        four.clock.advance(1)
    assert four.discard(*CALLS[:12]) == ["discarded"] * 12
    four.clock.advance(5)
    four.run(desk.log_deed(Action.EXPORT, who=doer("ada"), count=3))

    deeds = four.run(desk.deeds_page(most=100))
    assert sum(deed.count for deed in deeds if deed.action == Action.DISCARD) == 12
    assert deeds[-1].action == Action.EXPORT
    paged, after = [], ""
    while page := four.run(desk.deeds_page(most=2, after=after)):
        paged += page
        after = page[-1].place
    assert sorted(paged, key=str) == sorted(deeds, key=str)
    assert four.run(desk.deeds_page(most=1, newest_first=True)) == [deeds[-1]]


def test_erased_calls_stay_erased_wherever_they_lay(four: Workbench) -> None:
    for call_id in CALLS[:8]:
        assert four.erase(call_id) == "ready"

    assert four.accept("call-0") == "erased"
    assert all(four.run(desk.erased_among(CALLS[:8])))
    assert not any(four.run(desk.erased_among(CALLS[8:])))
    assert four.ledger.erased_of(CALLS) == set(CALLS[:8])
    assert four.ledger.erased_count() == 8
    assert four.run(watch.snapshot()).balanced


def test_what_is_scanned_is_all_of_it(four: Workbench) -> None:
    for one in four.claim(10).reports:
        four.deliver(held(one))

    assert {call_id for page in four.ledger.scan_records(7) for call_id in page} == set(CALLS)
    delivered = {call_id for page in four.ledger.scan_delivered(7) for call_id in page}
    standing = {call_id for page in four.ledger.scan_places(7) for call_id in page}
    assert (len(delivered), delivered | standing) == (10, set(CALLS))


def test_one_partition_that_was_emptied_is_missed(four: Workbench, prefix: str, tmp_path: object) -> None:
    known = four.run(watch.remember("keeper", watch.Remembered(), fresh_id="first"))
    lost = Ledger(four.ledger.client, prefix=prefixes(prefix, FOUR)[1])
    held_there = lost.client.hlen(lost.calls.keys.records)
    for key in lost.calls.keys.in_order():
        lost.client.delete(key)

    seen = four.run(watch.remember("keeper", known, fresh_id="second"))

    (loss,) = seen.known_losses()
    assert (loss.least, loss.most) == (held_there, held_there)
    assert four.run(watch.snapshot()).losses == (loss,)
    assert four.run(desk.settle_promises("lost", who=WHO)) == 1
    assert four.run(watch.remember("keeper", seen, fresh_id="third")).known_losses() == ()


def test_a_home_that_was_emptied_is_told_again_how_many_partitions_there_are(
    four: Workbench, home: Ledger, clock: Clock
) -> None:
    home.client.delete(home.calls.keys.promises)
    remembering = PartedLedger(home, lambda name: Ledger(home.client, prefix=name, clock=clock), lambda: FOUR)

    assert remembering.run(watch.snapshot()).total("accepted") == 40
    home.client.delete(home.calls.keys.promises)
    four.run(watch.remember("keeper", watch.Remembered(), fresh_id="first"))
    assert home.partitions() == (FOUR, False)


def test_what_a_machine_remembers_outlives_its_process(four: Workbench, tmp_path) -> None:  # type: ignore[no-untyped-def]
    keeper = Keeper.of(tmp_path, "redis://127.0.0.1", "roark")
    keeper.note(four.run(keeper.operation()))

    again = Keeper.of(tmp_path, "redis://127.0.0.1", "roark")
    assert (again.partitions, again.losses) == (FOUR, ())
    again.note(four.run(again.operation()))
    assert again.losses == ()


def test_retention_and_the_memory_of_deliveries_go_through_all(four: Workbench) -> None:
    for one in four.claim(40).reports:
        four.deliver(held(one))
    four.clock.advance(10_000)

    assert four.run(upkeep.forget(window_ms=5_000, most=100)) == 40
    assert four.run(watch.snapshot()).balanced


async def test_the_asyncio_ledger_sees_the_same(four: Workbench, real_server, prefix: str, clock: Clock) -> None:  # type: ignore[no-untyped-def]
    def opened(name: str) -> AsyncLedger:
        return AsyncLedger(connect_async(real_server.url), prefix=name, clock=clock)

    ledger = AsyncPartedLedger(opened(prefix), opened)
    try:
        again = [acceptable(call_id) for call_id in CALLS]
        assert set((await ledger.run(intake.accept(again, revisions="record", per_wakeup=64))).results) == {"duplicate"}
        claim = await ledger.run(delivery.claim(wanted=40, lease_ms=1000, listen_ms=0, most_bytes=10**9))
        assert {one.call_id for one in claim.reports} == set(CALLS)
        taken = [held(one) for one in claim.reports]
        assert await ledger.run(delivery.renew(taken, lease_ms=2000)) == [True] * 40
        assert await ledger.run(delivery.release(taken)) == [True] * 40
    finally:
        await ledger.aclose()
    assert four.run(watch.snapshot()).states[State.READY] == 40

"""From one partition to several: each script by itself, and calls that somebody needs while they are moved."""

import contextlib
from collections.abc import Callable

import pytest
import redis
from clocks import Clock
from workbench import WHO, Workbench, acceptable, held

from roark_ledger.errors import LedgerError
from roark_ledger.keys import Keys
from roark_ledger.ledger import Ledger
from roark_ledger.moves import desk, moving, watch
from roark_ledger.moves.operation import Operation
from roark_ledger.partitions.ledger import PartedLedger
from roark_ledger.partitions.moving import adoptions
from roark_ledger.partitions.placing import partition_of, prefixes
from roark_ledger.records.moving import Moving
from roark_ops.partitioning.mover import Mover, NotMovable, Split
from roark_worker.upkeep.audit import audit

PARTS = 3


class Move:
    """A ledger before, while and after its calls are moved, each as a workbench."""

    def __init__(self, client: "redis.Redis", prefix: str, clock: Clock) -> None:
        def opened(prefix: str, keys: Keys | None = None, more_keys: tuple[str, ...] = ()) -> Ledger:
            return Ledger(client, prefix=prefix, clock=clock, keys=keys, more_keys=more_keys)

        self.client = client
        self.whole = opened(prefix)
        self.source = opened(prefix, Keys.source(prefix), Keys.under(prefix).of_calls())
        self.parts = [opened(each) for each in prefixes(prefix, PARTS)]
        self.mover = Mover(self.whole, self.source, self.parts)
        self.before = Workbench(self.whole, clock)
        self.during = Workbench(PartedLedger(opened(prefix), opened), clock)
        self.after = Workbench(PartedLedger(opened(prefix), opened), clock)

    def begin(self) -> None:
        self.mover._prepare()
        self.mover._begin(WHO)

    def finish(self) -> Split:
        return self.mover.move(who=WHO)

    def part_of(self, call_id: str) -> Ledger:
        return self.parts[partition_of(call_id, PARTS)]


@pytest.fixture
def move(real_client: "redis.Redis", prefix: str, clock: Clock) -> Move:
    return Move(real_client, prefix, clock)


def of_all_states(bench: Workbench) -> dict[str, str]:
    """Make calls of all states; return what is expected of each."""
    run = bench.run
    bench.accept("delivered-1")
    bench.deliver(bench.take("delivered-1"))
    bench.accept("delivered-2")
    bench.deliver(bench.take("delivered-2"))
    bench.accept("delivered-2", "b")
    bench.accept("unconfirmed")
    bench.deliver(bench.take("unconfirmed"), "-")
    bench.accept("dead")
    bench.bury(bench.take("dead"))
    bench.accept("edited")
    bench.bury(bench.take("edited"))
    bench.edit("edited", "changed")
    bench.accept("discarded")
    bench.bury(bench.take("discarded"))
    bench.discard("discarded")
    bench.accept("waiting")
    bench.defer(bench.take("waiting"))
    bench.accept("uploading")
    bench.take("uploading")
    bench.accept("uploading", "b")
    bench.accept("erased")
    bench.erase("erased")
    bench.accept("ready")
    run(watch.snapshot())
    return {
        "delivered-1": "delivered",
        "delivered-2": "delivered",
        "unconfirmed": "delivered",
        "dead": "dead",
        "edited": "dead",
        "discarded": "discarded",
        "waiting": "waiting",
        "uploading": "uploading",
        "ready": "ready",
    }


def entries(bench: Workbench, calls: "dict[str, str]") -> dict[str, object]:
    return {call_id: bench.look(call_id) for call_id in calls}


def test_calls_of_all_states_are_after_it_as_they_were_before(move: Move) -> None:
    expected = of_all_states(move.before)
    seen = entries(move.before, expected)
    told = move.before.snapshot()

    moved = move.finish()

    assert moved == Split(PARTS, len(expected), 1, 0)
    assert entries(move.after, expected) == seen
    assert {call_id: move.after.state(call_id) for call_id in expected} == expected
    now = move.after.snapshot()
    assert (now.states, now.balanced, now.total("accepted")) == (told.states, True, told.total("accepted"))
    assert audit(move.after.ledger, sleep=lambda _: None).accounts.findings == ()
    assert move.mover.stage().partitions == PARTS


def test_a_delivered_call_is_a_duplicate_and_an_erased_one_stays_erased(move: Move) -> None:
    of_all_states(move.before)
    move.begin()

    for bench in (move.during, move.after):
        assert bench.accept("delivered-1") == "duplicate"
        assert bench.accept("erased") == "erased"
        assert bench.accept("delivered-2", "b") == "duplicate"
        move.finish()


def test_a_process_that_knows_of_one_partition_fails_before_it_writes(move: Move) -> None:
    move.before.accept("ready")
    one = move.before.take("ready")
    move.begin()

    for attempt in (
        lambda: move.before.accept("new"),
        lambda: move.before.accept("ready"),
        lambda: move.before.deliver(one),
        lambda: move.before.defer(one),
    ):
        with pytest.raises(LedgerError, match="WRONGTYPE"):
            attempt()

    assert move.during.state("new") == "unknown"
    assert move.during.deliver(one)
    assert move.finish().calls == 1
    assert audit(move.after.ledger, sleep=lambda _: None).accounts.findings == ()


def test_whoever_needs_a_call_while_it_is_moved_brings_it_over(move: Move) -> None:
    expected = of_all_states(move.before)
    seen = entries(move.before, expected)
    named = move.before.run(desk.named([*expected, "unknown"]))
    move.begin()

    assert entries(move.during, expected) == seen
    assert move.during.run(desk.named([*expected, "unknown"])) == named
    assert move.during.accept("new") == "accepted"
    assert move.during.accept("waiting", "b") == "replaced"
    assert move.during.replay("dead") == ["replayed"]
    move.during.erase("discarded")
    assert {part.run(watch.snapshot()).balanced for part in (*move.parts, move.source)} == {True}
    assert move.during.snapshot().balanced

    move.finish()

    assert move.after.accept("discarded") == "erased"
    assert move.after.state("dead") == "ready"
    assert {report.call_id for report in move.after.claim().reports} == {"new", "dead", "ready"}
    assert audit(move.after.ledger, sleep=lambda _: None).accounts.findings == ()


def test_what_was_exported_long_ago_does_not_come_back(move: Move) -> None:
    move.before.accept("call-1")
    move.before.deliver(move.before.take("call-1"))
    move.begin()
    exported = move.source.run(moving.export(["call-1"]))
    move.finish()
    assert move.after.forget(0) == 1

    assert move.part_of("call-1").run(moving.adopt(exported.rows)) == ["over"]
    assert move.after.state("call-1") == "unknown"


def test_nothing_is_forgotten_or_expires_while_calls_are_moved(move: Move) -> None:
    move.before.accept("call-1")
    move.before.deliver(move.before.take("call-1"))
    move.begin()
    assert move.during.look("call-1")

    assert move.during.forget(0) == 0


def test_the_order_of_deliveries_stays(move: Move) -> None:
    calls = [f"call-{number}" for number in range(60)]
    for call_id in calls:
        move.before.accept(call_id)
        move.before.deliver(move.before.take(call_id))
        move.before.clock.advance(1)

    move.finish()

    for number, part in enumerate(move.parts):
        listed = [each.decode() for each in move.client.lrange(part.calls.keys.delivered, 0, -1)]
        assert listed == [call_id for call_id in calls if partition_of(call_id, PARTS) == number]


def listed(bench: Workbench, place: str, most: int) -> list[str]:
    """Read all pages of a place, of so many reports each."""
    found: list[str] = []
    page = bench.run(desk.page(most=most, place=place))
    while True:
        found += [letter.call_id for letter in page.letters]
        if not page.last:
            return found
        page = bench.run(desk.page(most=most, place=place, behind=page.last, youngest_ms=page.youngest_ms))


def stood(bench: Workbench, most: int) -> list[str]:
    """Read the dead letters as the console's survey does."""
    found: list[str] = []
    score = same = 0
    while page := bench.run(desk.standing(from_score=score, leave_out=same, most=most)):
        found += [call_id for call_id, _ in page if call_id]
        same = sum(each == page[-1][1] for _, each in page) + (same if page[-1][1] == score else 0)
        score = page[-1][1]
    return found


def test_lists_have_each_call_once_wherever_it_is(move: Move) -> None:
    calls = [f"call-{number:02}" for number in range(40)]
    bench = move.before
    for call_id in calls:
        bench.accept(call_id)
        (bench.deliver if int(call_id[-2:]) % 2 else bench.bury)(bench.take(call_id))
        bench.clock.advance(int(call_id[-2:]) % 3)
    dead, delivered = listed(bench, "dead", 100), listed(bench, "delivered", 100)
    assert (len(dead), len(delivered)) == (20, 20)
    move.begin()

    def lists() -> list[list[str]]:
        at = [listed(move.during, place, most) for place in ("dead", "delivered") for most in (3, 100)]
        return [*at, stood(move.during, 3)]

    # Deliveries of one moment have no order among partitions.
    assert [sorted(each) for each in lists()] == [dead, dead, sorted(delivered), sorted(delivered), dead]
    assert lists()[0] == dead
    # The latest ones first, as they are moved.
    copied = move.source.run(moving.export(calls[:19:-1]))
    for where, several in adoptions(copied.rows, PARTS):
        for each in several:
            move.parts[where].run(each)
    assert [sorted(each) for each in lists()] == [dead, dead, sorted(delivered), sorted(delivered), dead]
    assert lists()[0] == dead

    move.during.replay("call-30")
    for call_id in ("call-20", "call-21", "call-38"):
        move.during.erase(call_id)
    dead = [call_id for call_id in dead if call_id not in {"call-20", "call-30", "call-38"}]
    delivered = sorted(set(delivered) - {"call-21"})
    assert [sorted(each) for each in lists()] == [dead, dead, delivered, delivered, dead]
    assert listed(move.during, "replay", 3) == ["call-30"]
    move.source.run(moving.drop(calls[30:]))
    assert [sorted(each) for each in lists()] == [dead, dead, delivered, delivered, dead]


def test_looking_at_a_call_moves_nothing(move: Move) -> None:
    expected = of_all_states(move.before)
    seen = entries(move.before, expected)
    named = move.before.run(desk.named([*expected, "unknown"]))
    move.begin()

    assert entries(move.during, expected) == seen
    assert move.during.run(desk.named([*expected, "unknown"])) == named
    assert move.during.run(watch.look_at([*expected, "unknown"])) == [*seen.values(), None]
    erased = move.during.run(desk.erased_among(["erased", "ready"]))
    assert [bool(each) for each in erased] == [True, False]
    assert move.during.snapshot().taken_over == 0


def test_what_was_done_before_is_waited_for_as_well(move: Move) -> None:
    """A server waits for disk and replica up to the last write of whoever asks, so one who writes nothing waits not."""
    move.before.accept("call-1")
    move.before.accept("erased")
    move.before.erase("erased")
    move.begin()
    (part,) = {move.part_of("call-1")}
    exported = move.source.run(moving.export(["call-1"]))
    _, found = move.source.run(moving.tombstones(0, most=10))

    def written(operation: Operation[object]) -> int:
        before = move.client.info("persistence")["rdb_changes_since_last_save"]
        (move.source if operation.script == "moving_begin" else part).run(operation)
        return int(move.client.info("persistence")["rdb_changes_since_last_save"] - before)

    again = (moving.adopt(exported.rows), moving.keep_erased(found), moving.begin(PARTS, who=WHO))
    for operation in (*again, *again):
        assert written(operation) > 0, operation.script


def test_it_is_known_how_many_are_left_and_when_the_last_ones_were_moved(move: Move) -> None:
    for call_id in ("call-1", "call-2", "call-3"):
        move.before.accept(call_id)
    assert move.before.snapshot().moving is None
    began_ms = move.before.clock.now_ms
    move.begin()

    move.before.clock.advance(1000)
    assert move.during.snapshot().moving == Moving(PARTS, 3, began_ms)
    move.during.accept("call-1")
    assert (move.during.snapshot().moving, move.during.snapshot().taken_over) == (Moving(PARTS, 3, began_ms), 1)
    move.source.run(moving.drop(["call-1"]))
    assert move.during.snapshot().moving == Moving(PARTS, 2, began_ms + 1000)
    move.finish()
    assert move.after.snapshot().moving is None


def test_open_replay_jobs_stand_in_the_way(move: Move) -> None:
    from roark_ledger.moves import replay

    move.before.run(replay.open_job(most_open=3))

    with pytest.raises(NotMovable, match="replay jobs"):
        move.finish()

    assert move.before.accept("call-1") == "accepted"


def test_partitions_that_hold_something_are_not_taken(move: Move) -> None:
    move.parts[1].run(move_accept("foreign"))

    with pytest.raises(NotMovable, match="partition 1"):
        move.finish()


def move_accept(call_id: str):
    from roark_ledger.moves import intake

    return intake.accept([acceptable(call_id)], revisions="record", per_wakeup=64)


@pytest.mark.parametrize("most", range(0, 40, 3))
def test_it_goes_on_wherever_it_was_killed(move: Move, most: int) -> None:
    expected = of_all_states(move.before)
    seen = entries(move.before, expected)
    left = most

    class Killed(Exception):
        pass

    def dying(run_all: Callable[..., list[object]]) -> Callable[..., list[object]]:
        def run(*args: object, **kwargs: object) -> list[object]:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return run_all(*args, **kwargs)

        return run

    ledgers = (move.whole, move.source, *move.parts)
    whole_ones = [ledger.run_all for ledger in ledgers]
    for ledger in ledgers:
        ledger.run_all = dying(ledger.run_all)  # type: ignore[method-assign]
    with contextlib.suppress(Killed):
        move.finish()
    for ledger, run_all in zip(ledgers, whole_ones, strict=True):
        ledger.run_all = run_all  # type: ignore[method-assign]

    move.finish()

    assert entries(move.after, expected) == seen
    assert move.after.accept("erased") == "erased"
    assert audit(move.after.ledger, sleep=lambda _: None).accounts.findings == ()
    assert held

"""What is remembered of the ledger outside of it tells one that was emptied, exchanged or set back."""

from dataclasses import replace

import pytest
from workbench import WHO, Workbench

from roark_ledger.moves import desk, intake, watch
from roark_ledger.records.promises import Loss, Remembered, UnreadFile

HOUR_MS = 3_600_000


def look(bench: Workbench, known: Remembered | None = None, *, keeper: str = "keeper-1") -> Remembered:
    return bench.run(watch.remember(keeper, known or Remembered(), fresh_id="the-first"))


def emptied(bench: Workbench) -> None:
    for key in bench.ledger.calls.keys.in_order():
        bench.ledger.client.delete(key)


def losses(bench: Workbench) -> tuple[Loss, ...]:
    return bench.run(watch.snapshot()).losses


def accepted(bench: Workbench, first: int, last: int) -> None:
    for number in range(first, last):
        bench.accept(f"call-{number}")


def test_a_ledger_has_one_identity_whoever_asks_first(bench: Workbench) -> None:
    seen = look(bench)
    again = bench.run(watch.remember("keeper-2", Remembered(), fresh_id="the-second"))

    assert (seen.ledger, again.ledger) == ("the-first", "the-first")
    assert losses(bench) == ()


def test_as_long_as_all_is_there_nothing_is_missing(bench: Workbench) -> None:
    known = look(bench)
    for number in range(5):
        bench.accept(f"call-{number}")
        known = look(bench, known)

    assert (known.accepted, known.open, known.known_losses()) == (5, 5, ())


@pytest.mark.parametrize("since", [0, 2, 50], ids=["nothing", "some", "more than before"])
def test_an_emptied_ledger_is_told_whatever_it_has_accepted_since(bench: Workbench, since: int) -> None:
    accepted(bench, 0, 8)
    held = bench.take("call-0")
    bench.deliver(held)
    known = look(bench)
    emptied(bench)
    accepted(bench, 100, 100 + since)

    seen = bench.run(watch.remember("keeper-1", known, fresh_id="the-second"))

    (loss,) = losses(bench)
    assert (loss.ledger, loss.least, loss.most, loss.open, loss.went_back) == ("the-first", 8, 8, 7, False)
    assert (seen.ledger, seen.known_losses()) == ("the-second", (loss,))
    assert "8 reports" in loss.words()
    assert "7 of them not delivered" in loss.words()


def test_a_ledger_that_had_accepted_nothing_is_no_loss(bench: Workbench) -> None:
    known = look(bench)
    emptied(bench)
    bench.run(watch.remember("keeper-1", known, fresh_id="the-second"))

    assert losses(bench) == ()


def test_a_ledger_that_lacks_the_latest_reports_is_told_by_their_number(bench: Workbench) -> None:
    accepted(bench, 0, 5)
    known = look(bench)
    look(bench, replace(known, accepted=7))

    (loss,) = losses(bench)
    assert (loss.least, loss.most, loss.went_back) == (2, 2, True)


def test_one_that_was_set_back_and_has_grown_since_is_told_by_its_mark(bench: Workbench) -> None:
    accepted(bench, 0, 3)
    before = look(bench)
    backup = bench.ledger.client.hgetall(bench.ledger.calls.keys.promises)
    accepted(bench, 3, 6)
    known = look(bench, before)
    # A failover to a replica that has neither these three nor the mark; then five others come.
    bench.ledger.client.hset(bench.ledger.calls.keys.promises, mapping=backup)
    bench.ledger.client.hincrby(bench.ledger.calls.keys.counters, "accepted", 2)

    look(bench, known)

    (loss,) = losses(bench)
    assert (loss.least, loss.most, loss.went_back) == (0, 3, True)
    assert "0 to 3" in loss.words()


def test_several_who_remember_tell_one_loss_and_the_most_of_it(bench: Workbench) -> None:
    accepted(bench, 0, 4)
    early = look(bench)
    accepted(bench, 4, 9)
    late = look(bench, keeper="keeper-2")
    emptied(bench)

    bench.run(watch.remember("keeper-2", late, fresh_id="second"))
    bench.run(watch.remember("keeper-1", early, fresh_id="second"))

    assert [(loss.ledger, loss.most) for loss in losses(bench)] == [("the-first", 9)]


def test_what_nobody_has_settled_is_told_by_the_next_ledger_as_well(bench: Workbench) -> None:
    accepted(bench, 0, 4)
    known = look(bench)
    emptied(bench)
    known = bench.run(watch.remember("keeper-1", known, fresh_id="second"))
    emptied(bench)
    bench.run(watch.remember("keeper-1", known, fresh_id="third"))

    assert [(loss.ledger, loss.most) for loss in losses(bench)] == [("the-first", 4)]


def test_what_is_settled_is_over_also_for_those_who_come_late(bench: Workbench) -> None:
    accepted(bench, 0, 4)
    known, late = look(bench), look(bench, keeper="keeper-2")
    emptied(bench)
    known = bench.run(watch.remember("keeper-1", known, fresh_id="second"))
    bench.clock.advance(HOUR_MS)

    assert bench.run(desk.settle_promises("lost", who=WHO)) == 1
    bench.run(watch.remember("keeper-2", late, fresh_id="x"))
    seen = bench.run(watch.remember("keeper-1", known, fresh_id="x"))

    assert (losses(bench), seen.losses) == ((), ())
    (deed,) = bench.run(desk.deeds_page(most=9))
    assert (deed.action, deed.by, deed.count) == ("repair", "ada", 4)


def test_nothing_to_settle_leaves_no_line(bench: Workbench) -> None:
    assert bench.run(desk.settle_promises("lost", who=WHO)) == 0
    assert bench.run(desk.deeds_page(most=9)) == []


def test_keepers_that_nobody_has_heard_of_for_a_month_are_forgotten(bench: Workbench) -> None:
    for number in range(502):
        look(bench, keeper=f"keeper-{number}")
    bench.clock.advance(31 * 24 * HOUR_MS)
    look(bench, keeper="new")

    kept = bench.ledger.client.hkeys(bench.ledger.calls.keys.promises)
    assert [name for name in kept if name.startswith(b"mark ")] == [b"mark new"]


def test_what_a_spool_cannot_give_back_is_told_until_it_is_taken_back_or_settled(bench: Workbench) -> None:
    files = [
        UnreadFile("1.spool", "it cannot be read: Permission denied", 1),
        UnreadFile("2.damaged", "it is damaged", 3),
    ]
    bench.run(intake.note_unread("host:/data/spool", files))
    (unread,) = bench.run(watch.snapshot()).unread
    assert (unread.reports, unread.files) == (4, tuple(files))
    assert unread.words() == (
        "At least 4 reports in the spool /data/spool on host cannot be read: 1.spool (it cannot be read: "
        "Permission denied), 2.damaged (it is damaged)."
    )

    bench.run(intake.note_unread("host:/data/spool", []))
    assert bench.run(watch.snapshot()).unread == ()

    bench.run(intake.note_unread("gone:/data/spool", files))
    assert bench.run(desk.settle_promises("unread", who=WHO)) == 1
    assert bench.run(watch.snapshot()).unread == ()

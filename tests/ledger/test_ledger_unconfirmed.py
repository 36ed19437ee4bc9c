"""A delivery in which Roark did not name the call: delivered, with its report kept until that is settled."""

import pytest
from workbench import LEASE_MS, Workbench

from roark_ledger.lifecycle import State
from roark_ledger.moves import delivery, desk, upkeep
from roark_ledger.moves.delivery import Deliver
from roark_ledger.records.snapshot import Retention
from roark_worker.upkeep.audit import audit

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
ANSWER = b'{"attempt":1,"ms":5,"status":200,"excerpt":"{}","unconfirmed":true}'


@pytest.fixture
def unnamed(bench: Workbench) -> Workbench:
    bench.accept()
    assert bench.deliver(bench.take(), "", detail=ANSWER)
    return bench


def packed(bench: Workbench) -> bytes:
    return bench.entry().packed


def test_it_is_delivered_and_its_report_is_kept_with_what_roark_answered(unnamed: Workbench) -> None:
    snapshot = unnamed.snapshot()
    assert unnamed.state() == "delivered"
    assert (snapshot.states[State.DELIVERED], snapshot.unconfirmed, snapshot.confirmed) == (1, 1, 0)
    assert snapshot.balanced
    assert packed(unnamed)
    assert unnamed.entry().unconfirmed_ms == unnamed.clock.now_ms
    assert unnamed.events() == ["delivered"]
    assert unnamed.entry().history[0].detail["excerpt"] == "{}"
    unnamed.inventory().check()


def test_a_named_delivery_is_confirmed(bench: Workbench) -> None:
    bench.accept()
    bench.deliver(bench.take(), "roark-1")
    assert (bench.snapshot().unconfirmed, bench.snapshot().confirmed) == (0, 1)
    assert bench.entry().unconfirmed_ms == 0
    assert not packed(bench)


def test_it_is_never_forgotten_while_others_around_it_are(unnamed: Workbench) -> None:
    unnamed.accept("call-2")
    unnamed.deliver(unnamed.take("call-2"), "roark-2")
    unnamed.clock.advance(40 * DAY_MS)

    assert unnamed.forget(30 * DAY_MS) == 1
    assert (unnamed.state(), unnamed.state("call-2")) == ("delivered", "unknown")
    assert packed(unnamed)


def test_confirmed_by_a_person_its_report_goes_and_it_is_forgotten_like_any_other(unnamed: Workbench) -> None:
    assert unnamed.confirm("call-1", "call-2") == ["confirmed", "unknown"]
    assert unnamed.confirm("call-1") == ["delivered"]

    assert not packed(unnamed)
    assert (unnamed.state(), unnamed.snapshot().unconfirmed) == ("delivered", 0)
    assert unnamed.events() == ["delivered", "confirmed"]
    (deed,) = unnamed.run(desk.deeds_page(most=9))
    assert (deed.action, deed.calls) == ("confirm", ("call-1",))
    unnamed.inventory().check()
    unnamed.clock.advance(40 * DAY_MS)
    assert unnamed.forget(30 * DAY_MS) == 1


def test_discarded_its_report_goes_and_it_stays_delivered(unnamed: Workbench) -> None:
    assert unnamed.discard("call-1") == ["discarded"]
    assert unnamed.discard("call-1") == ["delivered"]

    assert (unnamed.state(), unnamed.snapshot().unconfirmed) == ("delivered", 0)
    assert unnamed.snapshot().states[State.DISCARDED] == 0
    assert unnamed.events() == ["delivered", "dropped"]
    assert unnamed.count("unconfirmed_dropped") == 1
    unnamed.inventory().check()


@pytest.mark.parametrize("state", ["ready", "uploading", "waiting", "delivered", "dead", "discarded"])
def test_nothing_else_can_be_confirmed(bench: Workbench, state: str) -> None:
    bench.bring("call-1", state)
    before = bench.inventory()
    assert bench.confirm("call-1") == [state]
    assert bench.inventory() == before


def test_sent_again_it_is_ready_and_named_then_it_is_confirmed(unnamed: Workbench) -> None:
    assert unnamed.resend("call-1") == ["replayed"]
    assert (unnamed.state(), unnamed.snapshot().unconfirmed) == ("ready", 0)
    assert unnamed.snapshot().balanced
    unnamed.inventory().check()
    (again,) = unnamed.claim().reports
    assert not again.revision, "Roark is asked to skip what it has"
    unnamed.deliver(delivery.Held(again.call_id, again.token), "roark-1")

    assert unnamed.record().note == "roark-1"
    assert not packed(unnamed)
    unnamed.inventory().check()


def test_sent_again_and_not_named_it_is_unconfirmed_again(unnamed: Workbench) -> None:
    unnamed.resend("call-1")
    unnamed.deliver(unnamed.take(), "", detail=ANSWER)
    assert unnamed.snapshot().unconfirmed == 1
    assert packed(unnamed)
    unnamed.inventory().check()


def test_a_confirmed_delivery_is_not_sent_again(bench: Workbench) -> None:
    bench.bring("call-1", "delivered")
    assert bench.resend("call-1") == ["delivered"]


def test_sent_again_and_refused_it_is_a_dead_letter_with_its_report(unnamed: Workbench) -> None:
    unnamed.resend("call-1")
    unnamed.bury(unnamed.take())
    assert (unnamed.state(), unnamed.snapshot().unconfirmed) == ("dead", 0)
    unnamed.inventory().check()


class TestLate:
    """A worker that lost its lease comes back with an answer that names the call."""

    def late(self, bench: Workbench) -> delivery.Held:
        bench.accept()
        lost = bench.take()
        bench.clock.advance(LEASE_MS)
        bench.reap()
        return lost

    def test_it_confirms_what_another_delivered_without_a_name(self, bench: Workbench) -> None:
        lost = self.late(bench)
        bench.deliver(bench.take(), "", detail=ANSWER)

        assert not bench.deliver(lost, "roark-1", detail=b'{"status":200}')

        assert bench.record().note == "roark-1"
        assert (bench.snapshot().unconfirmed, bench.snapshot().states[State.DELIVERED]) == (0, 1)
        assert not packed(bench)
        assert bench.events()[-1] == "confirmed"
        bench.inventory().check()

    def test_without_a_name_it_confirms_nothing(self, bench: Workbench) -> None:
        lost = self.late(bench)
        bench.deliver(bench.take(), "", detail=ANSWER)
        assert not bench.deliver(lost, "")
        assert bench.snapshot().unconfirmed == 1

    def test_of_an_older_report_it_confirms_nothing(self, bench: Workbench) -> None:
        lost = self.late(bench)
        assert bench.accept("call-1", "b") == "replaced"
        bench.deliver(bench.take(), "", detail=ANSWER)

        assert not bench.deliver(lost, "roark-1")

        assert bench.snapshot().unconfirmed == 1
        assert packed(bench)

    def test_where_payloads_are_kept_it_keeps_this_one_too(self, bench: Workbench) -> None:
        lost = self.late(bench)
        bench.deliver(bench.take(), "", keep=True)
        bench.deliver(lost, "roark-1", keep=True)
        assert bench.snapshot().unconfirmed == 0
        assert packed(bench)


def test_a_newer_report_that_waited_beside_it_follows_at_once(bench: Workbench) -> None:
    bench.accept()
    one = bench.take()
    assert bench.accept("call-1", "b") == "replaced"

    bench.deliver(one, "")

    assert (bench.state(), bench.snapshot().unconfirmed) == ("ready", 0)
    assert bench.record().revision
    bench.inventory().check()


@pytest.mark.parametrize("revisions", ["record", "upload"])
def test_a_newer_report_that_comes_later_is_a_revision(unnamed: Workbench, revisions: str) -> None:
    assert unnamed.accept("call-1", "a") == "duplicate"
    assert unnamed.accept("call-1", "b", revisions=revisions) == "revision"

    uploads = revisions == "upload"
    assert unnamed.state() == ("ready" if uploads else "delivered")
    assert unnamed.snapshot().unconfirmed == (0 if uploads else 1)
    unnamed.inventory().check()


def test_what_a_person_edited_is_kept_with_what_was_sent_until_it_is_confirmed(bench: Workbench) -> None:
    bench.bring("call-1", "dead")
    bench.edit("call-1", "edited")
    bench.replay("call-1")
    bench.deliver(bench.take(), "", detail=ANSWER)
    assert bench.entry().original

    bench.confirm("call-1")

    assert not bench.entry().original
    bench.inventory().check()


def test_erased_nothing_of_it_is_left(unnamed: Workbench) -> None:
    assert unnamed.erase() == "delivered"
    assert unnamed.inventory().mentions("call-1") == []
    assert unnamed.snapshot().balanced
    assert unnamed.snapshot().unconfirmed == 0


class TestAudit:
    def test_it_is_in_order(self, unnamed: Workbench) -> None:
        verdict = audit(unnamed.ledger, sleep=lambda _: None)
        assert verdict.holds
        assert verdict.accounts.looked_at == 2

    @pytest.mark.parametrize(
        ("state", "fault"), [("ready", "also:unconfirmed"), ("dead", "also:unconfirmed"), ("unknown", "no-record")]
    )
    def test_what_is_among_them_and_not_delivered_is_found_and_mended(
        self, bench: Workbench, state: str, fault: str
    ) -> None:
        bench.bring("call-1", state)
        bench.ledger.client.zadd(bench.ledger.calls.keys.unconfirmed, {"call-1": 1})

        (broken,) = audit(bench.ledger, sleep=lambda _: None).broken
        assert broken.faults == (fault,)

        audit(bench.ledger, repair=True, sleep=lambda _: None)
        assert bench.snapshot().unconfirmed == 0
        bench.inventory().check()

    def test_one_whose_report_is_gone_is_found_and_is_then_delivered_like_any_other(self, unnamed: Workbench) -> None:
        unnamed.ledger.client.hdel(unnamed.ledger.calls.keys.payloads, "call-1")

        (broken,) = audit(unnamed.ledger, sleep=lambda _: None).broken
        assert broken.faults == ("no-payload",)

        verdict = audit(unnamed.ledger, repair=True, sleep=lambda _: None)
        assert (verdict.holds, verdict.mended) == (True, 1)
        unnamed.inventory().check()


class TestRetention:
    def act(self, bench: Workbench) -> upkeep.Expired:
        return bench.expire("unconfirmed", 6 * HOUR_MS, HOUR_MS)

    def test_the_report_goes_after_its_time_and_a_notice_and_the_call_stays_delivered(self, unnamed: Workbench) -> None:
        for _ in range(11):
            unnamed.clock.advance(HOUR_MS // 2)
            assert self.act(unnamed).removed == 0
        (kept,) = unnamed.snapshot().retention
        assert isinstance(kept, Retention)
        assert (kept.state, kept.expiring) == ("unconfirmed", 1)
        unnamed.clock.advance(HOUR_MS // 2)
        assert self.act(unnamed).removed == 1

        assert (unnamed.state(), unnamed.snapshot().unconfirmed) == ("delivered", 0)
        assert not packed(unnamed)
        assert unnamed.snapshot().balanced
        assert unnamed.count("expired") == 0
        assert unnamed.count("unconfirmed_dropped") == 1
        unnamed.inventory().check()


class TestShare:
    def deliver(self, bench: Workbench, number: int, name: str) -> None:
        ids = [f"{name or 'none'}-{place}" for place in range(number)]
        bench.accept_all(*ids)
        taken = [delivery.Held(one.call_id, one.token) for one in bench.claim(number).reports]
        bench.run(delivery.deliver([Deliver(one, name, ANSWER) for one in taken], keep_payloads=False))

    def test_it_follows_the_latest_deliveries_however_many_there_were(self, bench: Workbench) -> None:
        self.deliver(bench, 20, "r")
        assert bench.snapshot().unnamed_share == 0
        for _ in range(12):
            self.deliver(bench, 1, "")
            bench.confirm("none-0")
            bench.erase("none-0", key=b"k" * 32)
            bench.ledger.client.delete(bench.ledger.calls.keys.erased)
        assert 0.05 < bench.snapshot().unnamed_share < 0.07

    def test_one_in_ten_is_told_as_that(self, bench: Workbench) -> None:
        for batch in range(40):
            ids = [f"{batch}-{place}" for place in range(20)]
            bench.accept_all(*ids)
            taken = [delivery.Held(one.call_id, one.token) for one in bench.claim(20).reports]
            outcomes = [Deliver(one, "" if place < 2 else "r", ANSWER) for place, one in enumerate(taken)]
            bench.run(delivery.deliver(outcomes, keep_payloads=False))
        assert bench.snapshot().unnamed_share == pytest.approx(0.1, abs=0.01)
        assert bench.snapshot().unconfirmed == 80

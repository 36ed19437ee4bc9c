"""Erasing a call on demand, and forgetting deliveries that are older than the window."""

import hashlib
import hmac

import pytest
from workbench import DELAY_MS, LEASE_MS, WHO, Workbench, held

from roark_ledger.moves import desk, intake

META = b'{"field":"body","problem":"is odd","source":"webhook","bytes":1}'
WINDOW_MS = 30 * 86_400_000


class TestErase:
    @pytest.mark.parametrize(
        "state", ["unknown", "ready", "uploading", "waiting", "delivered", "dead", "discarded", "erased"]
    )
    def test_it_says_in_which_state_the_call_was(self, bench: Workbench, state: str) -> None:
        bench.bring("call-1", state)

        assert bench.erase("call-1") == state
        assert bench.erase("call-1") == "erased"

    @pytest.mark.parametrize("state", ["ready", "uploading", "waiting", "delivered", "dead", "discarded"])
    def test_no_key_mentions_the_call_any_more(self, bench: Workbench, state: str) -> None:
        bench.bring("call-1", state)
        bench.accept("call-1", "b")

        bench.erase("call-1")

        assert bench.inventory().mentions("call-1") == []
        assert bench.state() == "erased"
        assert bench.snapshot().balanced

    def test_nor_does_the_list_of_deliveries_after_a_call_was_delivered_twice(self, bench: Workbench) -> None:
        bench.bring("call-1", "delivered")
        bench.accept("call-1", "b", revisions="upload")
        bench.deliver(bench.take())

        bench.erase("call-1")

        assert bench.inventory().mentions("call-1") == []

    def test_nor_does_the_lane_that_it_was_the_probe_of(self, bench: Workbench) -> None:
        bench.accept("call-1")
        bench.hold_by_roark(gap_ms=1_000)
        bench.clock.advance(1_000)
        (report,) = bench.claim().reports

        bench.erase("call-1")

        assert bench.inventory().mentions("call-1") == []
        assert not bench.deliver(held(report))
        assert bench.lane().state == "held"

    def test_erasing_a_call_leaves_its_neighbours_alone(self, bench: Workbench) -> None:
        others = ["uploading", "waiting", "delivered", "dead", "discarded", "ready"]
        bench.bring("call-1", "delivered")
        for state in others:
            bench.bring(f"call-{state}", state)

        bench.erase("call-1")

        assert [bench.state(f"call-{state}") for state in others] == others
        bench.inventory().check()

    @pytest.mark.parametrize("key", [b"pepper", bytes(range(256))[::8], bytes(32)])
    def test_what_is_left_is_a_keyed_hash(self, bench: Workbench, key: bytes) -> None:
        bench.bring("call-1", "delivered")

        erased = bench.run(desk.erase("call-1", key=key, who=WHO))

        (tombstone,) = bench.inventory().erased
        assert tombstone.decode() == erased.tombstone == hmac.new(key, b"call-1", "sha1").hexdigest()

    def test_the_first_key_stays(self, bench: Workbench) -> None:
        bench.erase("call-1", key=b"first")

        bench.erase("call-2", key=b"second")

        assert bench.inventory().erased == {
            hmac.new(b"first", name, "sha1").hexdigest().encode() for name in (b"call-1", b"call-2")
        }
        assert bench.accept_all("call-1", "call-2", "call-3").results == ("erased", "erased", "accepted")

    def test_a_call_that_was_never_seen_is_barred_and_not_counted(self, bench: Workbench) -> None:
        bench.erase("call-1")

        assert bench.accept("call-1") == "erased"
        assert bench.count("erased") == 0
        assert bench.snapshot().balanced

    def test_an_upload_that_was_under_way_can_record_nothing(self, bench: Workbench) -> None:
        one = bench.bring("call-1", "uploading")
        bench.erase("call-1")
        before = bench.inventory()

        assert one is not None
        assert [settle(one) for settle in (bench.deliver, bench.defer, bench.bury, bench.release)] == [False] * 4
        bench.clock.advance(LEASE_MS + DELAY_MS)
        bench.reap()
        bench.promote()

        assert bench.inventory() == before

    def test_it_tells_what_was_removed(self, bench: Workbench) -> None:
        bench.bring("call-1", "delivered")
        bench.accept("call-1", "b")

        erased = bench.run(desk.erase("call-1", key=b"key", who=WHO))

        assert erased.removed == ("place: delivered", "records", "histories", "revisions")
        assert bench.run(desk.erase("call-1", key=b"key", who=WHO)).removed == ()

    def test_the_logbook_knows_the_call_by_its_tombstone_only(self, bench: Workbench) -> None:
        erased = bench.run(desk.erase("call-1", key=b"key", who=WHO))

        (deed,) = bench.run(desk.deeds_page(most=9))
        assert (deed.action, deed.by, deed.calls) == ("erase", "ada", (erased.tombstone,))


class TestTombstonesFromBeforeKeys:
    """A ledger of an earlier version holds SHA-1 of a salt and the id."""

    def old(self, bench: Workbench, call_id: str) -> bytes:
        keys = bench.ledger.calls.keys
        bench.ledger.client.hset(keys.counters, "salt", "pepper")
        old = hashlib.sha1(b"pepper" + call_id.encode()).hexdigest()
        bench.ledger.client.sadd(keys.erased, old)
        return old.encode()

    def test_still_bar_their_calls(self, bench: Workbench) -> None:
        old = self.old(bench, "call-1")

        assert bench.accept_all("call-1", "call-2").results == ("erased", "accepted")
        assert bench.state("call-1") == "erased"
        assert bench.erase("call-1") == "erased"
        assert old not in bench.inventory().erased

    def test_are_written_anew_when_their_call_comes_again(self, bench: Workbench) -> None:
        old = self.old(bench, "call-1")
        bench.erase("call-2", key=b"key")
        assert bench.state("call-1") == "erased"
        assert old in bench.inventory().erased, "who only looks changes nothing"

        assert bench.accept("call-1") == "erased"

        new = {hmac.new(b"key", name, "sha1").hexdigest().encode() for name in (b"call-1", b"call-2")}
        assert bench.inventory().erased == new
        assert bench.accept("call-1") == "erased"


class TestErasingWhatWasRejected:
    def reject(self, bench: Workbench, digest: str) -> bool:
        return bench.run(intake.reject(digest=digest, meta=META, packed=b"x", most=10))

    def test_removes_it_and_refuses_it_when_it_comes_again(self, bench: Workbench) -> None:
        self.reject(bench, "d1")
        self.reject(bench, "d2")

        (tombstone,) = bench.run(desk.erase_rejected(["d1", "d3"], key=b"key", who=WHO))

        assert tombstone == hmac.new(b"key", b"rejected:d1", "sha1").hexdigest()
        assert not self.reject(bench, "d1")
        assert self.reject(bench, "d3"), "what was not there may come"
        assert [one.digest for one in bench.run(desk.rejected_page(first=0, most=9))] == ["d2", "d3"]
        assert bench.count("refused_erased") == 1

    def test_is_in_the_logbook(self, bench: Workbench) -> None:
        self.reject(bench, "d1")

        tombstones = bench.run(desk.erase_rejected(["d1"], key=b"key", who=WHO))

        (deed,) = bench.run(desk.deeds_page(most=9))
        assert (deed.action, deed.count, list(deed.calls)) == ("rejected-erase", 1, tombstones)


class TestForget:
    def test_a_delivery_is_remembered_for_the_whole_window(self, bench: Workbench) -> None:
        bench.bring("call-1", "delivered")
        bench.clock.advance(WINDOW_MS - 1)

        assert bench.forget(WINDOW_MS) == 0
        assert bench.accept("call-1") == "duplicate"

    def test_then_its_record_is_dropped_and_the_sum_still_holds(self, bench: Workbench) -> None:
        bench.bring("call-1", "delivered")
        bench.accept("call-1", "b")
        bench.clock.advance(WINDOW_MS)

        assert bench.forget(WINDOW_MS) == 1

        assert bench.inventory().mentions("call-1") == []
        assert bench.count("forgotten") == 1
        assert bench.count("delivered") == 1
        assert bench.snapshot().balanced

    def test_a_forgotten_call_seen_again_is_a_new_one(self, bench: Workbench) -> None:
        bench.bring("call-1", "delivered")
        bench.clock.advance(WINDOW_MS)
        bench.forget(WINDOW_MS)

        assert bench.accept("call-1") == "accepted"
        bench.deliver(bench.take())

        assert bench.count("accepted") == 2
        assert bench.snapshot().balanced
        bench.inventory().check()

    @pytest.mark.parametrize("state", ["ready", "uploading", "waiting", "dead", "discarded"])
    def test_nothing_but_deliveries_is_ever_forgotten(self, bench: Workbench, state: str) -> None:
        bench.bring("call-1", state)
        bench.clock.advance(WINDOW_MS * 10)

        assert bench.forget(WINDOW_MS) == 0
        assert bench.state() == state

    def test_no_more_than_asked_are_forgotten_at_once_oldest_first(self, bench: Workbench) -> None:
        for number in range(5):
            bench.bring(f"call-{number}", "delivered")
            bench.clock.advance(1)
        bench.clock.advance(WINDOW_MS)

        assert [bench.forget(WINDOW_MS, most=2) for _ in range(2)] == [2, 2]

        assert [bench.state(f"call-{number}") for number in range(5)] == ["unknown"] * 4 + ["delivered"]

    def test_a_call_that_was_delivered_again_is_remembered_from_its_last_delivery(self, bench: Workbench) -> None:
        bench.bring("call-1", "delivered")
        bench.clock.advance(WINDOW_MS - 10)
        bench.accept("call-1", "b", revisions="upload")
        bench.deliver(bench.take())
        bench.clock.advance(WINDOW_MS - 1)
        assert bench.forget(WINDOW_MS) == 0

        bench.clock.advance(1)

        assert bench.forget(WINDOW_MS) == 1

    def test_a_call_that_was_delivered_again_does_not_keep_older_ones_from_being_forgotten(
        self, bench: Workbench
    ) -> None:
        bench.bring("call-1", "delivered")
        bench.bring("call-2", "delivered")
        bench.clock.advance(WINDOW_MS - 10)
        bench.accept("call-1", "b", revisions="upload")
        bench.deliver(bench.take())
        bench.clock.advance(10)

        assert bench.forget(WINDOW_MS) == 1

        assert bench.state("call-1") == "delivered"
        assert bench.state("call-2") == "unknown"

    def test_an_erased_delivery_does_not_stop_the_forgetting(self, bench: Workbench) -> None:
        bench.bring("call-1", "delivered")
        bench.bring("call-2", "delivered")
        bench.erase("call-1")
        bench.clock.advance(WINDOW_MS)

        assert bench.forget(WINDOW_MS) == 1
        assert bench.state("call-2") == "unknown"

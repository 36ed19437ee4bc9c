"""Dead letters: what a person sees of them, and replaying, discarding and restoring them."""

from typing import Any

import pytest
from workbench import WHO, Workbench, packed

from roark_ledger.ids import CallId
from roark_ledger.moves import delivery, desk, intake, watch
from roark_ledger.moves.delivery import Bury
from roark_ledger.moves.intake import Acceptable
from roark_ledger.packing import TRACE_BYTES, pack
from roark_ledger.records.letters import LetterPage


class TestReplay:
    def test_a_dead_letter_is_sent_again_with_its_tries_counted_anew_and_its_history_kept(
        self, bench: Workbench
    ) -> None:
        bench.bring("call-1", "dead")

        assert bench.replay("call-1") == ["replayed"]

        (report,) = bench.claim().reports
        assert report.packed == packed("call-1", "a")
        assert report.attempts == 0
        assert bench.record().priority == "replay"
        assert bench.record().note == ""
        assert bench.events() == ["buried", "replayed"]
        assert bench.entry().history[-1].detail == {"by": "ada"}
        assert bench.count("replayed") == 1

    def test_a_poisoned_one_gets_its_full_number_of_deaths_again(self, bench: Workbench) -> None:
        bench.bring("call-1", "uploading")
        bench.clock.advance(10**6)
        bench.reap(deaths=1)

        bench.replay("call-1")

        assert bench.record().deaths == 0

    def test_a_replay_that_came_already_says_where_the_report_is(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")
        bench.replay("call-1")

        assert bench.replay("call-1") == ["ready"]
        assert bench.count("replayed") == 1

    def test_its_delivery_is_told(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")
        bench.replay("call-1")

        bench.deliver(bench.take())

        assert bench.events() == ["buried", "replayed", "delivered"]


class TestDiscardAndRestore:
    def test_a_discarded_report_keeps_payload_and_history(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")

        assert bench.discard("call-1") == ["discarded"]

        assert bench.state() == "discarded"
        assert bench.entry().packed == packed("call-1", "a")
        assert bench.events() == ["buried", "discarded"]

    def test_it_can_be_restored_and_replayed(self, bench: Workbench) -> None:
        bench.bring("call-1", "discarded")

        assert bench.restore("call-1") == ["restored"]
        assert bench.state() == "dead"
        assert bench.replay("call-1") == ["replayed"]

        assert bench.deliver(bench.take())

    def test_a_discarded_one_is_not_replayed_before_it_is_restored(self, bench: Workbench) -> None:
        bench.bring("call-1", "discarded")

        assert bench.replay("call-1") == ["discarded"]
        assert bench.state() == "discarded"


@pytest.mark.parametrize("verb", ["discard", "restore"])
class TestManyAtOnce:
    def test_each_call_gets_its_own_answer_in_order(self, bench: Workbench, verb: str) -> None:
        source = "discarded" if verb == "restore" else "dead"
        bench.bring("call-1", source)
        bench.bring("call-2", "delivered")
        bench.bring("call-3", "erased")

        answers = getattr(bench, verb)("call-1", "call-2", "call-3", "call-4", "call-1")

        past = {"discard": "discarded", "restore": "restored"}[verb]
        now = {"discard": "discarded", "restore": "dead"}[verb]
        assert answers == [past, "delivered", "unknown", "unknown", now]
        assert bench.snapshot().balanced

    def test_no_call_at_all_is_no_work(self, bench: Workbench, verb: str) -> None:
        assert getattr(bench, verb)() == []


def bury(bench: Workbench, call_id: str, stored: bytes, detail: bytes = b"{}") -> None:
    bench.run(intake.accept([Acceptable(CallId(call_id), "print", stored)], revisions="record", per_wakeup=64))
    bench.run(delivery.bury([Bury(bench.take(call_id), "http_422", detail)]))


class TestLooks:
    def test_many_calls_are_looked_at_in_one_script_each_as_if_alone(self, bench: Workbench) -> None:
        states = ("uploading", "waiting", "delivered", "dead", "discarded", "ready")
        for state in states:
            bench.bring(f"call-{state}", state)
        bench.edit("call-dead", "edited")
        bench.run(desk.erase("call-erased", key=bytes(32), who=WHO))
        names = [*(f"call-{state}" for state in states), "call-erased", "call-unheard", "call-dead"]

        entries = bench.run(watch.look_at(names))

        assert entries == [bench.run(watch.look(name)) for name in names]
        assert [entry and entry.record and entry.record.state for entry in entries] == [*states, None, None, "dead"]
        assert entries[3] is not None
        assert entries[3].original == packed("call-dead", "a")
        assert entries[6] is not None
        assert entries[6].erased

    def test_a_look_ends_before_it_reads_too_much_for_one_script(self, bench: Workbench) -> None:
        for name, size in (("call-1", 9_000_000), ("call-2", 300_000), ("call-3", 200_000), ("call-4", 1)):
            bury(bench, name, b"\0\0\0\0" + bytes(size))
        names = [f"call-{number}" for number in range(1, 5)]

        assert [len(bench.run(watch.look_at(names[first:]))) for first in range(4)] == [1, 1, 2, 1]

    def test_to_look_at_nothing_is_no_work(self, bench: Workbench) -> None:
        assert bench.run(watch.look_at([])) == []

    def test_named_calls_come_as_lists_show_them_without_their_reports(self, bench: Workbench) -> None:
        for state in ("dead", "delivered", "discarded"):
            bench.bring(f"call-{state}", state)
        bench.edit("call-dead", "edited")
        bench.run(desk.erase("call-erased", key=bytes(32), who=WHO))

        found = bench.run(desk.named(["call-unheard", "call-discarded", "call-erased", "call-dead", "call-delivered"]))

        assert [one if isinstance(one, str) else one.call_id for one in found] == [
            *("unknown", "call-discarded", "erased", "call-dead", "call-delivered")
        ]
        letters = [one for one in found if not isinstance(one, str)]
        for letter in letters:
            entry = bench.entry(letter.call_id)
            assert (letter.record, letter.history, letter.packed) == (entry.record, entry.history, b"")
            assert letter.since_ms == letter.record.since_ms
        assert [letter.edited for letter in letters] == [False, True, False]

    def test_no_call_by_name_is_no_work(self, bench: Workbench) -> None:
        assert bench.run(desk.named([])) == []


class TestPages:
    def pages(self, bench: Workbench, most: int, **more: Any) -> list[list[str]]:
        """Every page, each behind the one before."""
        found = [self.page(bench, most, **more)]
        while found[-1].more:
            last = found[-1].letters[-1]
            behind = (last.since_ms, last.call_id)
            found.append(self.page(bench, most, **more | {"behind": behind, "youngest_ms": found[-1].youngest_ms}))
        return [[letter.call_id for letter in page.letters] for page in found]

    def page(self, bench: Workbench, most: int = 10, **more: Any) -> LetterPage:
        return bench.run(desk.page(most=most, **more))

    def test_dead_letters_come_oldest_first_by_pages(self, bench: Workbench) -> None:
        for number in range(5):
            bench.bring(f"call-{number}", "dead")
            bench.clock.advance(1_000)

        assert self.pages(bench, 2) == [["call-0", "call-1"], ["call-2", "call-3"], ["call-4"]]

    def test_those_that_died_in_the_same_moment_come_in_the_order_of_their_bytes(self, bench: Workbench) -> None:
        names = ["A", "B-1", "B-10", "B-2", "Z", "_", "a", "b"]
        for name in names:
            bench.bring(name, "dead")

        assert self.pages(bench, 3) == [names[:3], names[3:6], names[6:]]

    @pytest.mark.parametrize("gone", ["A", "B-10", "a"])
    def test_a_page_goes_on_behind_a_letter_that_was_taken_out_meanwhile(self, bench: Workbench, gone: str) -> None:
        names = ["A", "B-1", "B-10", "B-2", "Z", "_", "a", "b"]
        for name in names:
            bench.bring(name, "dead")
        first = self.page(bench, names.index(gone) + 1)
        bench.replay(gone)

        last = first.letters[-1]
        rest = self.page(bench, behind=(last.since_ms, last.call_id), youngest_ms=first.youngest_ms)

        assert [letter.call_id for letter in rest.letters] == names[names.index(gone) + 1 :]

    def test_what_dies_after_the_first_page_is_on_none_that_follow(self, bench: Workbench) -> None:
        bench.bring("call-0", "dead")
        bench.bring("call-1", "dead")
        first = self.page(bench, 1)
        bench.clock.advance(1)
        bench.bring("call-2", "dead")

        rest = self.page(bench, behind=(first.letters[0].since_ms, "call-0"), youngest_ms=first.youngest_ms)

        assert ([letter.call_id for letter in rest.letters], rest.more) == (["call-1"], False)

    def test_letters_from_before_the_clock_was_set_back_are_there(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")
        bench.clock.advance(-3_600_000)

        assert [letter.call_id for letter in self.page(bench).letters] == ["call-1"]

    def test_only_those_of_a_time_are_read_where_that_is_wanted(self, bench: Workbench) -> None:
        for number in range(5):
            bench.bring(f"call-{number}", "dead")
            bench.clock.advance(1_000)
        start = bench.clock.now_ms - 5_000

        assert self.pages(bench, 2, oldest_ms=start + 1_000, youngest_ms=start + 3_000) == [
            ["call-1", "call-2"],
            ["call-3"],
        ]

    @pytest.mark.parametrize("trace", [b"", b"\xff" * TRACE_BYTES])
    def test_properties_come_along_only_where_they_are_wanted(self, bench: Workbench, trace: bytes) -> None:
        properties = b'{"tenant":"acme"}'
        report = Acceptable(CallId("call-1"), "print", pack(b"{}", properties, trace))
        bench.run(intake.accept([report], revisions="record", per_wakeup=64))
        bench.bury(bench.take("call-1"))

        assert self.page(bench).letters[0].properties == b""
        assert self.page(bench, properties=True).letters[0].properties == properties

    def test_a_page_ends_before_its_reports_are_too_large_for_one_script(self, bench: Workbench) -> None:
        for name, size in (("call-1", 200_000), ("call-2", 200_000), ("call-3", 200_000), ("call-4", 9_000_000)):
            bury(bench, name, b"\0\0\0\0" + bytes(size))

        pages = [["call-1", "call-2"], ["call-3"], ["call-4"]]
        assert self.pages(bench, 10, properties=True) == pages
        assert self.pages(bench, 10, reports="all") == pages
        assert self.pages(bench, 10) == [["call-1", "call-2", "call-3", "call-4"]]

    @pytest.mark.parametrize("stored", ["", "abc"])
    def test_a_payload_that_is_cut_short_hides_no_other_letter(self, bench: Workbench, stored: str) -> None:
        for call_id in ("call-1", "call-2"):
            bury(bench, call_id, pack(b"report", b'{"tenant":"a"}'))
        bench.ledger.client.hset(bench.ledger.calls.keys.payloads, "call-1", stored)

        letters = self.page(bench, properties=True, reports="unnamed").letters

        assert [letter.properties for letter in letters] == [b"", b'{"tenant":"a"}']

    def test_reports_come_along_only_where_they_are_wanted(self, bench: Workbench) -> None:
        bury(bench, "call-1", pack(b"first", b'{"tenant":"a"}'), b'{"message":"say \\"assistant\\": A1"}')
        bury(bench, "call-2", pack(b"second"), b'{"status":422,"assistant":"A7"}')
        bench.edit("call-1", "edited")
        sent = {"call-1": pack(b"first", b'{"tenant":"a"}'), "call-2": pack(b"second")}
        edited = packed("call-1", "edited")

        def found(**wanted: Any) -> list[tuple[bytes, bytes, str]]:
            letters = self.page(bench, assistant_of=lambda stored: f"read {len(stored)}", **wanted).letters
            return [(letter.packed, letter.original, letter.assistant) for letter in letters]

        assert found() == [(b"", b"", ""), (b"", b"", "A7")]
        assert found(properties=True) == [(b"", b"", ""), (b"", b"", "A7")]
        assert found(reports="unnamed") == [(b"", b"", f"read {len(edited)}"), (b"", b"", "A7")]
        assert found(reports="all") == [
            (edited, sent["call-1"], f"read {len(edited)}"),
            (sent["call-2"], b"", "A7"),
        ]

    def test_a_dead_letter_tells_when_and_why(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")
        died = bench.clock.now_ms
        bench.clock.advance(9_000)

        (letter,) = self.page(bench).letters

        assert letter.since_ms == died
        assert letter.record.note == "status-422"
        assert letter.last is not None
        assert letter.last.detail == {"status": 422}

    def test_the_last_word_on_a_letter_is_the_event_that_ended_it(self, bench: Workbench) -> None:
        bench.bring("call-1", "discarded")
        bench.restore("call-1")

        (letter,) = self.page(bench).letters

        assert letter.history[-1].name == "restored"
        assert letter.last is not None
        assert letter.last.name == "buried"

    def test_discarded_reports_have_pages_of_their_own(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")
        bench.bring("call-2", "discarded")

        (letter,) = self.page(bench, place="discarded").letters

        assert letter.call_id == "call-2"
        assert letter.history[-1].detail == {"by": "ada"}
        assert WHO == b'{"by":"ada"}'

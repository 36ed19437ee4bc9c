"""Dead letters: what a person sees of them, and replaying, discarding and restoring them."""

import pytest
from workbench import WHO, Workbench, packed

from roark_producer import operations


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


@pytest.mark.parametrize("verb", ["replay", "discard", "restore"])
class TestManyAtOnce:
    def test_each_call_gets_its_own_answer_in_order(self, bench: Workbench, verb: str) -> None:
        source = "discarded" if verb == "restore" else "dead"
        bench.bring("call-1", source)
        bench.bring("call-2", "delivered")
        bench.bring("call-3", "erased")

        answers = getattr(bench, verb)("call-1", "call-2", "call-3", "call-4", "call-1")

        past = {"replay": "replayed", "discard": "discarded", "restore": "restored"}[verb]
        now = {"replay": "ready", "discard": "discarded", "restore": "dead"}[verb]
        assert answers == [past, "delivered", "unknown", "unknown", now]
        assert bench.snapshot().balanced

    def test_no_call_at_all_is_no_work(self, bench: Workbench, verb: str) -> None:
        assert getattr(bench, verb)() == []


class TestPages:
    def test_dead_letters_come_oldest_first_by_pages(self, bench: Workbench) -> None:
        for number in range(5):
            bench.bring(f"call-{number}", "dead")
            bench.clock.advance(1_000)

        pages = [bench.run(operations.dead_page(first=first, most=2)) for first in (0, 2, 4, 6)]

        assert [[letter.call_id for letter in page] for page in pages] == [
            ["call-0", "call-1"],
            ["call-2", "call-3"],
            ["call-4"],
            [],
        ]

    def test_a_dead_letter_tells_when_and_why(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")
        died = bench.clock.now_ms
        bench.clock.advance(9_000)

        (letter,) = bench.run(operations.dead_page(first=0, most=10))

        assert letter.since_ms == died
        assert letter.record.note == "status-422"
        assert letter.last is not None
        assert letter.last.detail == {"status": 422}

    def test_the_last_word_on_a_letter_is_the_event_that_ended_it(self, bench: Workbench) -> None:
        bench.bring("call-1", "discarded")
        bench.restore("call-1")

        (letter,) = bench.run(operations.dead_page(first=0, most=10))

        assert letter.history[-1].name == "restored"
        assert letter.last is not None
        assert letter.last.name == "buried"

    def test_discarded_reports_have_pages_of_their_own(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")
        bench.bring("call-2", "discarded")

        (letter,) = bench.run(operations.dead_page(first=0, most=10, state="discarded"))

        assert letter.call_id == "call-2"
        assert letter.history[-1].detail == {"by": "ada"}
        assert WHO == b'{"by":"ada"}'

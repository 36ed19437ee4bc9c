"""Editing a dead letter: the original is kept beside it, and of two who edit at the same time one is told."""

import pytest
from workbench import WHO, Workbench, packed

from roark_ledger.moves import delivery, desk, upkeep, watch

ORIGINAL, EDITED = packed("call-1", "a"), packed("call-1", "edited")


class TestEdit:
    def test_the_edited_report_takes_the_place_and_what_was_sent_is_kept_beside_it(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")
        died = bench.record().since_ms
        bench.clock.advance(5_000)

        assert bench.edit(expires_ms=77) == "edited"

        entry = bench.entry()
        assert (entry.packed, entry.original) == (EDITED, ORIGINAL)
        assert (bench.state(), bench.record().since_ms, bench.record().expires_ms) == ("dead", died, 77)
        assert entry.history[-1].detail == {"by": "ada"}
        assert bench.events() == ["buried", "edited"]
        assert bench.count("edited") == 1

    def test_edited_again_what_was_sent_stays_the_original(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")
        bench.edit()

        assert bench.edit(text="once more") == "edited"

        assert (bench.entry().packed, bench.entry().original) == (packed("call-1", "once more"), ORIGINAL)

    def test_edited_back_to_what_was_sent_nothing_is_kept_beside_it(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")
        bench.edit()

        assert bench.edit(text="a") == "edited"

        assert (bench.entry().packed, bench.entry().original) == (ORIGINAL, b"")

    def test_of_two_who_edit_the_same_report_the_second_is_told_and_changes_nothing(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")
        seen = bench.entry().packed
        assert bench.edit_what_was(seen, text="edited") == "edited"
        before = bench.inventory()

        assert bench.edit_what_was(seen, text="by somebody else") == "changed"

        assert bench.inventory() == before

    def test_an_edit_of_a_report_that_a_newer_one_replaced_and_that_died_again_is_refused(
        self, bench: Workbench
    ) -> None:
        bench.bring("call-1", "dead")
        seen = bench.entry().packed
        bench.accept(version="b")
        bench.bury(bench.take())

        assert bench.edit_what_was(seen) == "changed"

    def test_a_replayed_report_is_what_was_edited_and_once_delivered_nothing_is_kept(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")
        bench.edit()
        bench.replay("call-1")

        (report,) = bench.claim().reports
        assert report.packed == EDITED
        one = delivery.Held(report.call_id, report.token)
        bench.deliver(one)

        assert bench.inventory().hashes["originals"] == {}
        assert bench.events() == ["buried", "edited", "replayed", "delivered"]

    def test_while_payloads_are_kept_the_original_is_kept_too_until_the_call_is_forgotten(
        self, bench: Workbench
    ) -> None:
        bench.bring("call-1", "dead")
        bench.edit()
        bench.replay("call-1")
        bench.deliver(bench.take(), keep=True)
        assert bench.entry().original == ORIGINAL

        bench.clock.advance(10_000)
        bench.forget(1_000)

        assert bench.inventory().mentions("call-1") == []

    def test_when_vapi_sends_the_original_again_it_is_a_duplicate_and_the_edit_stays(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")
        bench.edit()

        assert bench.accept(version="a") == "duplicate"

        assert (bench.state(), bench.entry().packed) == ("dead", EDITED)

    def test_a_newer_report_takes_the_place_of_both(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")
        bench.edit()

        assert bench.accept(version="b") == "replaced"

        assert (bench.state(), bench.entry().packed, bench.entry().original) == ("ready", packed("call-1", "b"), b"")

    def test_discarded_and_restored_it_is_still_edited(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")
        bench.edit()
        bench.discard("call-1")
        assert bench.edit(text="once more") == "discarded"

        bench.restore("call-1")

        assert (bench.entry().packed, bench.entry().original) == (EDITED, ORIGINAL)

    def test_the_list_of_dead_letters_says_which_were_edited(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")
        bench.bring("call-2", "dead")
        bench.edit("call-2")

        letters = bench.run(desk.page(most=9)).letters

        assert [(letter.call_id, letter.edited) for letter in letters] == [("call-1", False), ("call-2", True)]

    def test_erasing_leaves_neither(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")
        bench.edit()

        bench.erase()

        assert bench.inventory().mentions("call-1") == []


class TestUnedit:
    def test_what_was_sent_takes_its_place_again(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")
        bench.edit(expires_ms=77)

        assert bench.unedit(expires_ms=88) == "unedited"

        assert (bench.entry().packed, bench.entry().original, bench.record().expires_ms) == (ORIGINAL, b"", 88)
        assert bench.events() == ["buried", "edited", "unedited"]

    def test_what_nobody_edited_is_unchanged(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")

        assert bench.unedit() == "unchanged"

    def test_an_edit_that_came_meanwhile_is_not_undone(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")
        bench.edit()
        seen = bench.entry().packed
        bench.edit(text="once more")

        assert bench.run(desk.unedit("call-1", expires_ms=0, seen=seen, detail=WHO)) == "changed"

        assert bench.entry().packed == packed("call-1", "once more")

    @pytest.mark.parametrize("state", ["unknown", "ready", "uploading", "waiting", "delivered", "discarded"])
    def test_only_a_dead_letter_is_edited_or_undone(self, bench: Workbench, state: str) -> None:
        bench.bring("call-1", state)
        before = bench.inventory()

        assert (bench.edit(), bench.unedit()) == (state, state)

        assert bench.inventory() == before


class TestAudit:
    def test_an_original_without_the_report_made_of_it_is_found_and_removed(self, bench: Workbench) -> None:
        bench.bring("call-1", "delivered")
        keys = bench.ledger.calls.keys
        bench.ledger.client.hset(keys.originals, "call-1", ORIGINAL)

        (broken,) = bench.run(watch.verify(["call-1"]))
        assert broken.faults == ("original",)

        assert bench.run(upkeep.mend(["call-1"])) == ["mended"]
        assert bench.run(watch.verify(["call-1"])) == []
        assert bench.inventory().hashes["originals"] == {}

    def test_an_edited_letter_is_in_order_wherever_it_goes(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")
        bench.edit()
        assert bench.run(watch.verify(["call-1"])) == []
        bench.replay("call-1")
        assert bench.run(watch.verify(["call-1"])) == []
        assert bench.run(upkeep.mend(["call-1"])) == ["sound"]

"""Alerts in the ledger: one of each kind for all workers, one worker's turn at a time, sent again rather than lost."""

import pytest
from workbench import Workbench, packed

from roark_ledger.ids import CallId
from roark_ledger.moves import intake, watch
from roark_ledger.moves.intake import Acceptable
from roark_ledger.records.alerts import AlertKind, Facts, Message, Turn, gauges

HELD, DEAD = AlertKind.LANE_HELD, AlertKind.DEAD_LETTERS
LEASE_MS, CALM_MS, REPEAT_MS = 1_000, 5_000, 3_600_000
NOW_HELD = Message("Uploads are paused.", "ada did it.", "roark-ingest resume")


def look(bench: Workbench, *kinds: AlertKind, may_send: bool = True, message: Message = NOW_HELD) -> list[Turn]:
    return bench.run(
        watch.take_alerts(
            dict.fromkeys(kinds, message), lease_ms=LEASE_MS, calm_ms=CALM_MS, repeat_ms=REPEAT_MS, may_send=may_send
        )
    )


def sent(bench: Workbench, *turns: Turn) -> list[bool]:
    return [bench.run(watch.alert_sent(turn)) for turn in turns]


def told(turns: list[Turn]) -> list[tuple[AlertKind, str]]:
    return [(turn.kind, turn.what) for turn in turns]


def raise_and_send(bench: Workbench) -> None:
    assert sent(bench, *look(bench, HELD)) == [True]


class TestOneOfEachKind:
    def test_the_first_to_look_has_the_turn_and_nobody_else(self, bench: Workbench) -> None:
        (turn,) = look(bench, HELD)

        assert (turn.kind, turn.what, turn.message, turn.since_ms) == (HELD, "raised", NOW_HELD, bench.clock.now_ms)
        assert look(bench, HELD) == []

    def test_once_sent_it_is_not_sent_again_while_it_lasts(self, bench: Workbench) -> None:
        raise_and_send(bench)

        for _ in range(20):
            bench.clock.advance(10_000)
            assert look(bench, HELD) == []

    def test_kinds_do_not_touch_each_other(self, bench: Workbench) -> None:
        raise_and_send(bench)

        assert told(look(bench, HELD, DEAD)) == [(DEAD, "raised")]

    def test_while_it_lasts_it_is_repeated_now_and_then(self, bench: Workbench) -> None:
        raise_and_send(bench)
        bench.clock.advance(REPEAT_MS - 1)
        assert look(bench, HELD) == []
        bench.clock.advance(1)

        assert told(look(bench, HELD)) == [(HELD, "raised")]

    def test_what_it_says_now_is_kept_though_it_is_not_sent_again(self, bench: Workbench) -> None:
        raise_and_send(bench)

        look(bench, HELD, message=Message("3 now.", "", ""))

        (alert,) = bench.snapshot().alerts
        assert alert.message.headline == "3 now."


class TestAnotherCause:
    @staticmethod
    def of(cause: str) -> Message:
        return Message("Uploads are paused.", f"It is {cause}.", "roark-ingest doctor", cause)

    def test_is_told_though_the_alert_was_sent(self, bench: Workbench) -> None:
        assert sent(bench, *look(bench, HELD, message=self.of("http_403"))) == [True]

        (turn,) = look(bench, HELD, message=self.of("http_401"))

        assert (turn.what, turn.message.cause) == ("raised", "http_401")
        assert sent(bench, turn) == [True]
        assert look(bench, HELD, message=self.of("http_401")) == []

    def test_is_told_once_however_often_causes_change(self, bench: Workbench) -> None:
        messages = 0
        for number in range(20):
            turns = look(bench, HELD, message=self.of("http_403" if number % 2 else "http_401"))
            messages += len(turns)
            sent(bench, *turns)
            bench.clock.advance(LEASE_MS)

        assert messages == 2

    def test_is_told_again_after_a_recovery(self, bench: Workbench) -> None:
        sent(bench, *look(bench, HELD, message=self.of("http_403")))
        look(bench)
        bench.clock.advance(CALM_MS)
        sent(bench, *look(bench))

        assert told(look(bench, HELD, message=self.of("http_403"))) == [(HELD, "raised")]


class TestRecovery:
    def test_is_told_once_the_cause_was_away_for_a_while(self, bench: Workbench) -> None:
        raise_and_send(bench)
        began = bench.clock.now_ms
        bench.clock.advance(1_000)
        assert look(bench) == []
        bench.clock.advance(CALM_MS - 1)
        assert look(bench) == []
        bench.clock.advance(1)

        (turn,) = look(bench)

        assert (turn.what, turn.since_ms, turn.ended_ms) == ("recovered", began, began + 1_000)
        assert sent(bench, turn) == [True]
        assert look(bench) == []
        (alert,) = bench.snapshot().alerts
        assert (alert.active, alert.owed) == (False, "")

    def test_a_cause_that_comes_and_goes_is_one_alert(self, bench: Workbench) -> None:
        raise_and_send(bench)

        for _ in range(10):
            bench.clock.advance(CALM_MS - 1)
            assert look(bench) == []
            bench.clock.advance(1)
            assert look(bench, HELD) == []

    def test_a_cause_that_comes_back_later_is_a_new_alert(self, bench: Workbench) -> None:
        raise_and_send(bench)
        look(bench)
        bench.clock.advance(CALM_MS)
        sent(bench, *look(bench))
        bench.clock.advance(1)

        assert told(look(bench, HELD)) == [(HELD, "raised")]

    def test_is_not_told_where_nobody_ever_heard_of_the_alert(self, bench: Workbench) -> None:
        assert look(bench, HELD, may_send=False) == []
        look(bench, may_send=False)
        bench.clock.advance(CALM_MS)

        assert look(bench) == []

    def test_of_an_alert_whose_message_was_never_taken_is_told_all_the_same(self, bench: Workbench) -> None:
        look(bench, HELD)
        look(bench)
        bench.clock.advance(CALM_MS)

        assert told(look(bench)) == [(HELD, "recovered")]


class TestAWorkerThatDies:
    def test_leaves_its_message_to_the_next_one(self, bench: Workbench) -> None:
        (lost,) = look(bench, HELD)
        bench.clock.advance(LEASE_MS - 1)
        assert look(bench, HELD) == []
        bench.clock.advance(1)

        (again,) = look(bench, HELD)

        assert (again.kind, again.what) == (HELD, "raised")
        assert sent(bench, lost) == [False], "it was too slow: the turn is another one's"
        assert sent(bench, again) == [True]

    def test_nobody_is_kept_busy_by_a_message_that_nobody_takes(self, bench: Workbench) -> None:
        begun = []
        for second in range(600):
            begun += [second] * len(look(bench, HELD))
            bench.clock.advance(1_000)

        assert begun == [0, 1, 3, 7, 15, 31, 63, 127, 255, 511]

    def test_a_clock_that_was_set_back_holds_no_message_up(self, bench: Workbench) -> None:
        look(bench, HELD)
        bench.clock.advance(-3_600_000)

        assert told(look(bench, HELD)) == [(HELD, "raised")]


def test_without_a_webhook_what_there_is_is_noted_and_sent_by_who_has_one(bench: Workbench) -> None:
    assert look(bench, HELD, may_send=False) == []
    (alert,) = bench.snapshot().alerts
    assert (alert.active, alert.owed) == (True, "raised")

    assert told(look(bench, HELD)) == [(HELD, "raised")]


def test_the_gauges_have_every_kind(bench: Workbench) -> None:
    look(bench, HELD)

    assert gauges(bench.snapshot().alerts) == {kind: int(kind is HELD) for kind in AlertKind}


def test_a_full_server_still_alerts(real_bench: Workbench) -> None:
    from servers import configured

    with configured(real_bench.ledger.client, "maxmemory", "1mb"):
        raise_and_send(real_bench)
        real_bench.run(intake.note_spool("host:/spool", waiting_bytes=7))


class TestFacts:
    def facts(self, bench: Workbench) -> Facts:
        return bench.run(watch.alert_facts(lately_ms=600_000, soon_ms=60_000))

    def bury(self, bench: Workbench, call_id: str, ends_in_ms: int) -> None:
        ends = bench.clock.now_ms + ends_in_ms if ends_in_ms else 0
        whole = Acceptable(CallId(call_id), "print-a", packed(call_id, "a"), ends)
        bench.run(intake.accept([whole], revisions="record", per_wakeup=64))
        bench.bury(bench.take(call_id), reason="http_422")

    def test_deaths_of_late_are_counted(self, bench: Workbench) -> None:
        self.bury(bench, "call-1", 0)
        bench.clock.advance(600_001)
        self.bury(bench, "call-2", 0)

        assert (self.facts(bench).deaths, self.facts(bench).newest_reason) == (1, "http_422")

    @pytest.mark.parametrize("leave", ["replay", "discard", "erase"])
    def test_dead_letters_whose_audio_ends_soon_are_counted_until_they_leave(
        self, bench: Workbench, leave: str
    ) -> None:
        self.bury(bench, "call-0", 0)
        self.bury(bench, "call-1", 30_000)
        self.bury(bench, "call-2", 90_000)
        assert self.facts(bench).fading == 1
        bench.clock.advance(30_000)
        assert self.facts(bench).fading == 2

        getattr(bench, leave)("call-2")

        assert self.facts(bench).fading == 1
        bench.inventory().check(now_ms=bench.clock.now_ms)

    def test_audio_that_has_ended_counts_no_more(self, bench: Workbench) -> None:
        self.bury(bench, "call-1", 30_000)
        bench.clock.advance(30_001)
        assert self.facts(bench).fading == 0

        bench.promote()

        assert bench.inventory().zsets["fading"] == []

    def test_ready_reports_whose_audio_ends_soon_are_counted(self, bench: Workbench) -> None:
        whole = Acceptable(CallId("call-1"), "print-a", b"x", bench.clock.now_ms + 30_000)
        bench.run(intake.accept([whole], revisions="record", per_wakeup=64))

        assert self.facts(bench).held_up == 1

    def test_a_spool_is_known_until_it_is_empty(self, bench: Workbench) -> None:
        bench.run(intake.note_spool("host:/spool", waiting_bytes=7))
        began = bench.clock.now_ms
        bench.clock.advance(10)
        bench.run(intake.note_spool("host:/spool", waiting_bytes=9))

        (note,) = self.facts(bench).spools
        assert (note.who, note.bytes, note.since_ms, note.heard_ms) == ("host:/spool", 9, began, began + 10)

        bench.run(intake.note_spool("host:/spool", waiting_bytes=0))
        assert self.facts(bench).spools == ()

"""Which reports go first when there is a backlog, and who is woken for it."""

from road import Road

from roark_ledger.moves import upkeep


def ids(road: Road, wanted: int) -> list[str]:
    return [report.call_id for report in road.claim(wanted).reports]


class TestABacklogOfFreshReports:
    def test_without_one_the_oldest_goes_first(self, road: Road) -> None:
        for _ in range(4):
            road.accept()
            road.clock.advance(1_000)

        assert ids(road, 4) == ["call 0", "call 1", "call 2", "call 3"]

    def test_when_the_oldest_is_half_a_minute_late_the_youngest_go_first(self, road: Road) -> None:
        road.accept(100)
        road.clock.advance(30_000)
        road.accept(3)

        first = ids(road, 8)

        assert {"call 100", "call 101", "call 102"} < set(first)

    def test_the_oldest_gets_one_of_eight(self, road: Road) -> None:
        for _ in range(100):
            road.accept()
            road.clock.advance(1_000)

        found = [call_id for _ in range(24) for call_id in ids(road, 1)]

        assert [call_id for call_id in found if int(call_id.split()[1]) < 50] == ["call 0", "call 1", "call 2"]

    def test_it_makes_no_difference_how_many_are_claimed_at_once(self, road: Road) -> None:
        for _ in range(100):
            road.accept()
            road.clock.advance(1_000)

        found = ids(road, 24)

        assert {"call 0", "call 1", "call 2"} < set(found)
        assert "call 3" not in found


class TestWaking:
    def pulse(self, road: Road, plenty: int = 0) -> bool:
        return road.run(upkeep.pulse(quiet_ms=1_000, rules=road.rules, plenty=plenty))

    def test_nobody_is_woken_while_somebody_claims(self, road: Road) -> None:
        road.accept(200)
        road.claim(1)

        assert not self.pulse(road)

    def test_a_worker_without_work_is_woken_for_a_large_backlog_all_the_same(self, road: Road) -> None:
        road.accept(200)
        road.claim(1)

        assert self.pulse(road, plenty=64)

    def test_but_not_for_a_small_one(self, road: Road) -> None:
        road.accept(64)
        road.claim(1)

        assert not self.pulse(road, plenty=64)

    def test_nor_while_the_lane_is_shut(self, road: Road) -> None:
        road.break_open()
        road.accept(200)

        assert not self.pulse(road, plenty=64)

    def test_nor_while_as_many_are_in_flight_as_may_be(self, road: Road) -> None:
        road.accept(200)
        road.claim(64)

        assert not self.pulse(road, plenty=64)

    def test_when_the_clock_was_set_back_somebody_is_woken_to_write_that_down(self, road: Road) -> None:
        road.break_open()
        road.accept(1)
        road.clock.advance(-3_600_000)

        assert self.pulse(road)

        assert road.claim().wait_ms == 5_000
        assert not self.pulse(road)
        road.clock.advance(5_000)
        assert self.pulse(road)
        assert len(road.claim().reports) == 1

"""Who has the turn to show how the lane is, and when."""

from workbench import Workbench

from roark_ledger.moves import watch
from roark_ledger.records.lane import LaneNews

AGAIN_MS = 60_000


def look(bench: Workbench) -> LaneNews | None:
    return bench.run(watch.lane_news(again_ms=AGAIN_MS))


def test_an_open_lane_is_no_news(bench: Workbench) -> None:
    assert look(bench) is None


def test_one_that_was_shut_is_shown_by_one_and_now_and_then_again(bench: Workbench) -> None:
    bench.accept("call-1")
    bench.hold_by_hand("a reason")

    news = look(bench)

    assert news
    assert (news.lane.state, news.lane.reason, news.ready) == ("held", "a reason", 1)
    assert look(bench) is None
    bench.clock.advance(AGAIN_MS)
    assert look(bench)
    assert look(bench) is None


def test_another_reason_is_news(bench: Workbench) -> None:
    bench.hold_by_roark(reason="http_403")
    look(bench)
    bench.hold_by_roark(reason="http_401")

    news = look(bench)

    assert news
    assert news.lane.reason == "http_401"


def test_its_end_is_shown_once(bench: Workbench) -> None:
    bench.hold_by_hand()
    look(bench)
    bench.resume()

    news = look(bench)

    assert news
    assert news.lane.state == "open"
    bench.clock.advance(AGAIN_MS)
    assert look(bench) is None


def test_a_clock_that_was_set_back_delays_nothing(bench: Workbench) -> None:
    bench.hold_by_hand()
    look(bench)
    bench.clock.advance(-3_600_000)

    assert look(bench)

"""By which of Roark's two ways in a report goes: what was sent by one stays on it, whatever is set meanwhile."""

import pytest
from workbench import DETAIL, LEASE_MS, WHO, Workbench, held

from roark_ledger.moves import delivery, desk
from roark_ledger.moves.delivery import Bury, Claimed, Defer, Held, Refuse, Signal
from roark_ledger.routes import Route


def claim(bench: Workbench, route: Route = "vapi") -> Claimed:
    (report,) = bench.run(
        delivery.claim(wanted=1, lease_ms=LEASE_MS, listen_ms=0, most_bytes=10**9, route=route)
    ).reports
    return report


def way(bench: Workbench, route: Route) -> str:
    return claim(bench, route).route


def refuse(bench: Workbench, one: Held, code: str = "http_404") -> None:
    bench.run(delivery.refuse([Refuse(one, code, "", DETAIL, DETAIL)], longest_gap_ms=60_000, most_sends=20))


def wait(bench: Workbench, one: Held) -> None:
    """Put it off without having sent it."""
    bench.run(delivery.defer([Defer(one, 1_000, "waits_for_audio", b'{"unsent":true}', Signal.UNSENT)]))


def again(bench: Workbench, ms: int = 30_000) -> None:
    bench.clock.advance(ms)
    bench.promote()


@pytest.mark.parametrize("route", ["vapi", "call"])
def test_a_report_that_was_never_sent_goes_by_the_way_that_is_set(bench: Workbench, route: Route) -> None:
    bench.accept()
    assert way(bench, route) == route


@pytest.mark.parametrize(("first", "then"), [("vapi", "call"), ("call", "vapi")])
@pytest.mark.parametrize("how", ["deferred", "worker died", "given back", "dead and replayed", "newer report"])
def test_what_was_sent_by_one_way_stays_on_it(bench: Workbench, first: Route, then: Route, how: str) -> None:
    bench.accept()
    bench.clock.advance(5)
    one = held(claim(bench, first))
    match how:
        case "deferred":
            bench.run(delivery.defer([Defer(one, 1_000, "timeout", DETAIL)]))
        case "worker died":
            bench.clock.advance(LEASE_MS)
            bench.reap()
        case "given back":
            bench.release(one)
        case "dead and replayed":
            bench.run(delivery.bury([Bury(one, "exhausted", DETAIL)]))
            bench.replay("call-1")
        case "newer report":
            bench.run(delivery.defer([Defer(one, 1_000, "timeout", DETAIL)]))
            bench.accept("call-1", "b")
    again(bench, 2_000)

    assert way(bench, then) == first


@pytest.mark.parametrize(("first", "then"), [("vapi", "call"), ("call", "vapi")])
def test_what_was_only_refused_is_free_to_go_by_the_other_way(bench: Workbench, first: Route, then: Route) -> None:
    bench.accept()
    bench.clock.advance(5)
    refuse(bench, held(claim(bench, first)))
    bench.resume()
    again(bench)
    refuse(bench, held(claim(bench, first)))
    bench.resume()
    again(bench)

    assert way(bench, then) == then


@pytest.mark.parametrize("before", ["deferred", "given back"])
def test_a_refusal_frees_nothing_that_roark_may_have_taken_before(bench: Workbench, before: str) -> None:
    bench.accept()
    bench.clock.advance(5)
    one = held(claim(bench, "vapi"))
    if before == "deferred":
        bench.run(delivery.defer([Defer(one, 1_000, "timeout", DETAIL)]))
    else:
        bench.release(one)
    again(bench, 2_000)
    refuse(bench, held(claim(bench, "vapi")))
    bench.resume()
    again(bench)

    assert way(bench, "call") == "vapi"


@pytest.mark.parametrize("first", ["vapi", "call"])
def test_what_waited_and_was_never_sent_is_free(bench: Workbench, first: Route) -> None:
    bench.accept()
    for _ in range(2):
        bench.clock.advance(5)
        wait(bench, held(claim(bench, first)))
        again(bench)
    refuse(bench, held(claim(bench, first)))
    bench.resume()
    again(bench)

    assert way(bench, "call" if first == "vapi" else "vapi") != first


def test_a_wait_frees_nothing_that_was_sent_before(bench: Workbench) -> None:
    bench.accept()
    bench.clock.advance(5)
    bench.run(delivery.defer([Defer(held(claim(bench)), 1_000, "timeout", DETAIL)]))
    again(bench, 2_000)
    wait(bench, held(claim(bench)))
    again(bench)

    assert way(bench, "call") == "vapi"


def test_a_free_one_that_was_sent_again_without_an_answer_is_free_no_more(bench: Workbench) -> None:
    bench.accept()
    bench.clock.advance(5)
    refuse(bench, held(claim(bench, "vapi")))
    bench.resume()
    again(bench)
    one = held(claim(bench, "vapi"))
    bench.run(delivery.defer([Defer(one, 1_000, "timeout", DETAIL)]))
    again(bench, 2_000)

    assert way(bench, "call") == "vapi"


@pytest.mark.parametrize("first", ["vapi", "call"])
def test_a_dead_letter_is_freed_by_hand_and_a_refusal_leaves_it_free(bench: Workbench, first: Route) -> None:
    other: Route = "call" if first == "vapi" else "vapi"
    bench.accept()
    bench.accept("call-2")
    bench.clock.advance(5)
    one = held(claim(bench, first))
    bench.run(delivery.defer([Defer(one, 1_000, "timeout", DETAIL)]))
    again(bench, 2_000)
    assert bench.run(desk.free_route(["call-1", "call-9"], detail=WHO)) == ["ready", "unknown"]
    bench.run(desk.set_aside(["call-2"], detail=WHO))
    bench.run(delivery.bury([Bury(held(claim(bench, other)), "http_404", DETAIL)]))

    assert bench.run(desk.free_route(["call-1"], detail=WHO)) == ["freed"]

    assert [event.name for event in bench.entry("call-1").history][-1] == "freed"
    assert bench.run(desk.deeds_page(most=10))[-1].calls == ("call-1",)
    bench.replay("call-1")
    report = claim(bench, other)
    assert report.route == other
    refuse(bench, held(report))
    bench.resume()
    again(bench)
    assert way(bench, first) == first


def test_a_person_switches_for_all_workers_and_back_again(bench: Workbench) -> None:
    for number in range(3):
        bench.accept(f"call-{number}")
    assert bench.run(desk.switch_route("call", who=WHO)) == ""
    assert bench.lane().route == "call"
    assert way(bench, "vapi") == "call"

    assert bench.run(desk.switch_route(None, who=WHO)) == "call"
    assert bench.lane().route == ""
    assert way(bench, "vapi") == "vapi"
    assert [one.action for one in bench.run(desk.deeds_page(most=10))] == ["route"] * 2


def test_the_way_is_in_the_record_of_what_is_delivered_and_goes_with_the_call(bench: Workbench) -> None:
    bench.accept()
    bench.clock.advance(5)
    assert bench.deliver(held(claim(bench, "call")))
    bench.accept("call-2")
    bench.clock.advance(5)
    bench.release(held(claim(bench, "vapi")))
    bench.deliver(held(claim(bench, "vapi")))

    assert bench.entry().by_call_route
    assert not bench.entry("call-2").by_call_route
    assert list(bench.inventory().hashes["routes"]) == [b"call-1"]
    bench.erase()
    assert not bench.inventory().hashes["routes"]

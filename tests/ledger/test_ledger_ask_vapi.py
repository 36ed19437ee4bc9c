"""Vapi's limit is the organisation's: all who ask share one row of moments, and each moment is given out once."""

from itertools import pairwise

import httpx
from pydantic import SecretStr
from workbench import Workbench

from roark_ledger.moves import reconcile as reconciled
from roark_ledger.moves.reconcile import Turned
from roark_worker.calls.vapi import Vapi
from roark_worker.calls.vapi_settings import VapiSettings

GAP, PATIENT, LATEST = 500, 2_000, 20_000


def ask(bench: Workbench, patience_ms: int = PATIENT, latest_ms: int = LATEST) -> Turned:
    return bench.run(reconciled.ask_vapi(gap_ms=GAP, patience_ms=patience_ms, latest_ms=latest_ms))


def test_who_asks_at_the_same_time_goes_one_after_the_other(bench: Workbench) -> None:
    assert [ask(bench).wait_ms for _ in range(5)] == [0, 500, 1_000, 1_500, 2_000]
    bench.clock.advance(1_250)
    assert ask(bench, 60_000).wait_ms == 1_250
    bench.clock.advance(60_000)
    assert ask(bench) == Turned(0)


def test_no_ten_seconds_have_more_than_twenty_however_often_it_is_asked(bench: Workbench) -> None:
    given: list[int] = []
    for _ in range(1_000):
        if (wait := ask(bench).wait_ms) is not None:
            given.append(bench.clock() + wait)
        bench.clock.advance(37)

    assert len(given) >= 70
    assert all(later - sooner >= GAP for sooner, later in pairwise(given))


def test_who_cannot_wait_comes_back_one_in_each_gap_and_takes_no_moment(bench: Workbench) -> None:
    for _ in range(5):
        ask(bench)

    sent_away = [ask(bench) for _ in range(4)]

    assert sent_away == [Turned(None, 2_500), Turned(None, 3_000), Turned(None, 3_500), Turned(None, 4_000)]
    bench.clock.advance(2_500)
    assert ask(bench) == Turned(0)


def test_who_would_come_back_too_late_is_told_so(bench: Workbench) -> None:
    answers = [ask(bench, -1) for _ in range(60)]

    assert answers[0].back_ms == GAP
    assert [one.back_ms for one in answers if one.back_ms is not None] == list(range(GAP, LATEST + 1, GAP))
    assert answers[-1] == Turned(None, None)
    bench.clock.advance(GAP)
    assert ask(bench, -1) == Turned(None, LATEST)


def test_a_clock_that_was_set_back_keeps_nobody_waiting(bench: Workbench) -> None:
    bench.clock.advance(3_600_000)
    for _ in range(10):
        ask(bench)
    bench.clock.advance(-3_600_000)

    assert ask(bench) == Turned(0)
    assert ask(bench, -1).back_ms == GAP


def test_passes_commands_and_what_is_tried_again_share_the_moments(bench: Workbench) -> None:
    asked: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(bench.clock())
        return httpx.Response(503 if len(asked) % 3 == 0 else 200, content=b"[]")

    def vapi() -> Vapi:
        settings = VapiSettings(vapi_api_key=SecretStr("key"))
        transport = httpx.MockTransport(answer)
        return Vapi(
            settings, ledger=bench.ledger, sleep=lambda s: bench.clock.advance(round(s * 1000)), transport=transport
        )

    with vapi() as one, vapi() as other:
        for _ in range(10):
            one.calls(from_ms=0, to_ms=1)
            other.calls(from_ms=0, to_ms=1)

    assert len(asked) > 20
    assert all(later - sooner >= GAP for sooner, later in pairwise(asked))

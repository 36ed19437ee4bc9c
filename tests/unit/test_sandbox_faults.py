"""The sandbox's faults and scenarios: how they are written, and which one a request meets."""

import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roark_sandbox.trouble.faults import (
    CutShort,
    ErrorInside,
    Fault,
    NamesNothing,
    NeverAnswer,
    ProxyPage,
    RefuseFault,
    ResetConnection,
    Say,
    decide,
    parse_fault,
    parse_faults,
)
from roark_sandbox.trouble.scenario import Flap, Outage, Slow, extra_delay_seconds, is_down, parse_scenario

STATUSES = st.integers(400, 599)
RATES = st.floats(0, 1)
CALL_IDS = st.from_regex("[a-z0-9-]{1,12}", fullmatch=True)


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("503:0.2", Fault("503", RefuseFault(503), 0.2)),
        ("401:1.0", Fault("401", RefuseFault(401), 1.0)),
        ("429:0.1:retry-after=2", Fault("429", RefuseFault(429, retry_after_seconds=2), 0.1)),
        ("429:0.1:retry-after=0.5", Fault("429", RefuseFault(429, retry_after_seconds=0.5), 0.1)),
        ("503:1:retry-after-ms=250", Fault("503", RefuseFault(503, retry_after_ms=250), 1)),
        ("503:1:should-retry=false", Fault("503", RefuseFault(503, should_retry=False), 1)),
        ("400:1:should-retry=true", Fault("400", RefuseFault(400, should_retry=True), 1)),
        ('say-422:1:body={"detail":"a:b"}', Fault("say-422", Say(422, '{"detail":"a:b"}'), 1)),
        ("say-301:1", Fault("say-301", Say(301), 1)),
        ("say-422:1:should-retry=true:body=no", Fault("say-422", Say(422, "no", True), 1)),
        ("409:1:message=already imported: twice", Fault("409", RefuseFault(409, "already imported: twice"), 1)),
        ("400:calls=ID1+ID2", Fault("400", RefuseFault(400), 1, frozenset({"ID1", "ID2"}))),
        ("400:0.5:calls=ID1", Fault("400", RefuseFault(400), 0.5, frozenset({"ID1"}))),
        ("403:assistants=a-7", Fault("403", RefuseFault(403), 1, assistants=frozenset({"a-7"}))),
        ("timeout:0.05", Fault("timeout", NeverAnswer(), 0.05)),
        ("timeout:0.05:imported=true", Fault("timeout", NeverAnswer(), 0.05, imported=True)),
        ("reset:0.02", Fault("reset", ResetConnection(), 0.02)),
        ("html:0.1", Fault("html", ProxyPage(), 0.1)),
        ("html-400:0.1", Fault("html-400", ProxyPage(400), 0.1)),
        ("200-error:0.1", Fault("200-error", ErrorInside(), 0.1)),
        ("200-error:0.1:code=unauthorized", Fault("200-error", ErrorInside("unauthorized"), 0.1)),
        ("200-empty:0.1:imported=true", Fault("200-empty", NamesNothing(), 0.1, imported=True)),
        ("cut:0.01", Fault("cut", CutShort(), 0.01)),
        ("cut:calls=ID1", Fault("cut", CutShort(), 1, frozenset({"ID1"}))),
    ],
)
def test_a_spec_says_what_goes_wrong_how_often_and_for_whom(spec: str, fault: Fault) -> None:
    assert parse_fault(spec) == fault


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("", "'' is neither a status"),
        ("teapot:0.1", "'teapot' is neither a status"),
        ("200:0.1", "'200' is neither a status"),
        ("5030:0.1", "'5030' is neither a status"),
        ("503", "give a rate from 0 to 1, or the calls it is for"),
        ("503:", "rate '' is not a number from 0 to 1"),
        ("503:often", "rate 'often' is not a number from 0 to 1"),
        ("503:1.5", "rate '1.5' is not a number from 0 to 1"),
        ("503:-0.1", "rate '-0.1' is not a number from 0 to 1"),
        ("503:nan", "rate 'nan' is not a number from 0 to 1"),
        ("503:0.1:soon", "'soon' is not OPTION=VALUE"),
        ("503:0.1:patience=1", "there is no option 'patience'"),
        ("503:0.1:retry-after=soon", "retry-after 'soon' is not a number from 0 up"),
        ("503:0.1:retry-after=inf", "retry-after 'inf' is not a number from 0 up"),
        ("503:0.1:retry-after-ms=-1", "retry-after-ms '-1' is not a number from 0 up"),
        ("503:0.1:should-retry=perhaps", "should-retry 'perhaps' is neither true nor false"),
        ("503:0.1:imported=1", "imported '1' is neither true nor false"),
        ("503:0.1:retry-after=1:retry-after=2", "option 'retry-after' is given twice"),
        ("400:calls=", "calls '' has an empty id in it"),
        ("400:calls=ID1++ID2", "calls 'ID1++ID2' has an empty id in it"),
        ("timeout:0.1:retry-after=2", "there is no option 'retry-after' for 'timeout'"),
        ("html:0.1:message=hello", "there is no option 'message' for 'html'"),
        ("cut:0.1:imported=true", "'imported' is redundant"),
    ],
)
def test_a_wrong_spec_is_refused_with_the_part_that_is_wrong(spec: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r"^fault ") as refused:
        parse_fault(spec)
    assert f"fault {spec!r}: " in str(refused.value)
    assert reason in str(refused.value)


@given(st.text())
def test_any_text_is_either_a_fault_or_a_value_error_that_quotes_it(spec: str) -> None:
    reason = ""
    try:
        parse_fault(spec)
    except ValueError as error:
        reason = str(error)
    assert not reason or reason.startswith(f"fault {spec!r}: ")


@given(STATUSES, RATES, st.frozensets(CALL_IDS))
def test_what_a_spec_says_is_what_the_fault_holds(status: int, rate: float, calls: frozenset[str]) -> None:
    chosen = f":calls={'+'.join(sorted(calls))}" if calls else ""

    fault = parse_fault(f"{status}:{rate!r}{chosen}")

    assert fault == Fault(str(status), RefuseFault(status), rate, calls)


def test_rates_that_add_up_to_more_than_everything_are_refused() -> None:
    with pytest.raises(ValueError, match=r"503:0\.7, 429:0\.4 add up to 1\.1"):
        parse_faults(["503:0.7", "429:0.4"])


def test_rates_that_add_up_to_everything_are_fine_in_spite_of_rounding() -> None:
    assert len(parse_faults(["503:0.1"] * 10)) == 10


def test_rates_for_chosen_calls_do_not_count_towards_everything() -> None:
    assert len(parse_faults(["503:1.0", "400:calls=ID1", "422:calls=ID2"])) == 3


@given(st.integers())
def test_a_chosen_call_is_always_refused_whatever_else_may_go_wrong(seed: int) -> None:
    # given a fault for everybody that is named first
    faults = parse_faults(["503:1.0", "400:calls=ID1"])
    chance = random.Random(seed)

    # when the chosen call and another come
    chosen, other, unreadable = (decide(faults, None, call, chance, 0) for call in ("ID1", "ID2", None))

    # then each meets its own fault
    assert chosen is not None
    assert chosen.name == "400"
    assert other is not None
    assert other.name == "503"
    assert unreadable is not None
    assert unreadable.name == "503"


@settings(deadline=None)
@given(st.integers())
def test_each_fault_hits_the_share_it_says(seed: int) -> None:
    faults = parse_faults(["503:0.2", "429:0.1", "reset:0.05"])
    chance = random.Random(seed)

    met = Counter(
        fault.name if (fault := decide(faults, None, f"call-{number}", chance, 0)) else "none" for number in range(2000)
    )

    for name, rate in {"503": 0.2, "429": 0.1, "reset": 0.05, "none": 0.65}.items():
        # six standard deviations: about one false alarm in five hundred million draws
        assert abs(met[name] - 2000 * rate) < 6 * math.sqrt(2000 * rate * (1 - rate))


@given(st.integers())
def test_the_same_seed_gives_the_same_faults(seed: int) -> None:
    faults = parse_faults(["503:0.3", "timeout:0.3"])

    runs = [
        [decide(faults, None, None, chance, 0) for _ in range(20)]
        for chance in (random.Random(seed), random.Random(seed))
    ]

    assert runs[0] == runs[1]


@given(st.integers())
def test_a_rate_of_nothing_never_hits_and_a_rate_of_one_always(seed: int) -> None:
    chance = random.Random(seed)
    assert decide(parse_faults(["503:0"]), None, None, chance, 0) is None
    assert decide(parse_faults(["503:1"]), None, None, chance, 0) is not None


def test_during_an_outage_everybody_gets_503_even_a_call_chosen_for_something_else() -> None:
    faults = parse_faults(["400:calls=ID1"])
    outage = parse_scenario("outage:30s")

    during, after = (decide(faults, outage, "ID1", random.Random(1), seconds) for seconds in (29.9, 30))

    assert during is not None
    assert during.name == "503"
    assert after is not None
    assert after.name == "400"


@pytest.mark.parametrize(
    ("spec", "scenario"),
    [
        ("outage:30s", Outage(30)),
        ("outage:30s@10s", Outage(30, 10)),
        ("outage:1.5m@500ms", Outage(90, 0.5)),
        ("flap:30s", Flap(30)),
        ("flap:1h@0s", Flap(3600)),
        ("slow:2s", Slow(2)),
        ("slow:250ms@1m", Slow(0.25, 60)),
    ],
)
def test_a_scenario_says_what_happens_how_long_and_from_when(spec: str, scenario: Outage | Flap | Slow) -> None:
    assert parse_scenario(spec) == scenario


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("", "'' is none of outage, flap, slow"),
        ("storm:30s", "'storm' is none of outage, flap, slow"),
        ("outage", "'' is not a duration"),
        ("outage:30", "'30' is not a duration"),
        ("outage:-1s", "'-1s' is not a duration"),
        ("outage:30s@", "'' is not a duration"),
        ("outage:30s@later", "'later' is not a duration"),
        ("flap:0s", "duration '0s' is not longer than 0 s"),
    ],
)
def test_a_wrong_scenario_is_refused_with_the_part_that_is_wrong(spec: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r"^scenario ") as refused:
        parse_scenario(spec)
    assert str(refused.value).startswith(f"scenario {spec!r}: {reason}")


@pytest.mark.parametrize(
    ("spec", "down_at", "up_at"),
    [
        ("outage:30s", [0, 29.9], [30, 1000]),
        ("outage:30s@10s", [10, 39.9], [0, 9.9, 40]),
        ("flap:30s", [0, 29.9, 60, 89.9], [30, 59.9, 90]),
        ("flap:30s@10s", [10, 39.9, 70], [0, 9.9, 40, 69.9]),
        ("slow:2s", [], [0, 2, 1000]),
    ],
)
def test_a_scenario_is_down_exactly_when_it_says(spec: str, down_at: list[float], up_at: list[float]) -> None:
    scenario = parse_scenario(spec)
    assert [is_down(scenario, seconds) for seconds in down_at] == [True] * len(down_at)
    assert [is_down(scenario, seconds) for seconds in up_at] == [False] * len(up_at)


def test_slowness_begins_when_it_says_and_stays() -> None:
    slow = parse_scenario("slow:2s@10s")
    assert [extra_delay_seconds(slow, seconds) for seconds in (0, 9.9, 10, 1000)] == [0, 0, 2, 2]


def test_without_a_scenario_nothing_happens_over_time() -> None:
    assert not is_down(None, 5)
    assert extra_delay_seconds(None, 5) == 0


def test_a_fault_for_an_assistant_hits_its_calls_and_no_others() -> None:
    faults = parse_faults(["403:assistants=a-7"])

    hit = [decide(faults, None, "call", random.Random(1), 0, assistant=assistant) for assistant in ("a-7", "a-8", "")]

    assert [fault is not None for fault in hit] == [True, False, False]

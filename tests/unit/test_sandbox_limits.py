"""The sandbox's limits: how they are written, and what they let in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roark_sandbox.trouble.limits import AtOnce, PerSecond, parse_limit


@pytest.mark.parametrize(("spec", "limit"), [("40", AtOnce(40)), ("50/s", PerSecond(50)), ("1", AtOnce(1))])
def test_a_limit_is_a_number_at_once_or_a_rate(spec: str, limit: AtOnce | PerSecond) -> None:
    assert parse_limit(spec) == limit


@pytest.mark.parametrize("spec", ["", "0", "-1", "1.5", "40/m", "many", "01", "1 /s"])
def test_anything_else_is_refused_and_quoted(spec: str) -> None:
    with pytest.raises(ValueError, match="is neither a number of uploads at once") as refused:
        parse_limit(spec)
    assert repr(spec) in str(refused.value)


def test_as_many_at_once_as_it_says_are_let_in() -> None:
    assert [AtOnce(2).refuses(in_flight, 0.0) is None for in_flight in (1, 2, 3)] == [True, True, False]


@given(gaps=st.lists(st.floats(0, 0.6), min_size=1, max_size=80), most=st.integers(1, 5))
def test_no_second_has_more_than_it_says_in_it(gaps: list[float], most: int) -> None:
    limit, now, let_in = PerSecond(most), 0.0, []
    for gap in gaps:
        now += gap
        if limit.refuses(1, now) is None:
            let_in.append(now)
    for number, first in enumerate(let_in):
        assert sum(first <= later < first + 0.999 for later in let_in[number:]) <= most

"""A rule over many cases: what fails is listed, all of it, and a fixture is given to each case."""

import pytest
from offenders import for_each


@for_each(("low", "high"), [(1, 2), pytest.param(3, 4)])
@for_each("between", [0.5, 0.25])
def test_each_case_is_tried(low: int, high: int, between: float, tmp_path: object) -> None:
    assert low < low + between < high
    assert tmp_path


def test_those_that_fail_are_listed_with_why() -> None:
    @for_each("number", range(1, 100))
    def is_odd(number: int) -> None:
        assert number % 2

    with pytest.raises(
        AssertionError, match=r"^49 of 99 fail:\n\nnumber=2: AssertionError: assert \(2 % 2\)\n\nnumber=4"
    ):
        is_odd()


def test_one_that_breaks_is_one_that_fails() -> None:
    @for_each("word", ["1", "one"])
    def is_number(word: str) -> None:
        int(word)

    with pytest.raises(AssertionError, match=r"^1 of 2 fail:\n\nword='one': ValueError: invalid literal"):
        is_number()

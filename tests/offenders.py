"""One test for a rule that holds for many cases: it goes through them all and lists those for which it does not.

    @for_each("status", range(1000))
    def test_every_status_has_a_row(status: int) -> None: ...

It takes what `pytest.mark.parametrize` takes. A table of examples, each a story of its own, stays parametrised.
"""

import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, cast

Test = Callable[..., None]

SHOWN = 10


def for_each(names: str | Sequence[str], cases: Iterable[Any]) -> Callable[[Test], Test]:
    """Return what makes one test of many cases; fixtures are the same for all of them."""
    named = (names,) if isinstance(names, str) else tuple(names)
    listed = [_values(case, len(named)) for case in cases]
    assert listed, "a rule without cases holds for nothing"

    def of_many(test: Test) -> Test:
        @wraps(test)
        def of_all(**fixtures: Any) -> None:
            given = (dict(zip(named, values, strict=True)) for values in listed)
            failed = [said for case in given if (said := _failure(test, case, fixtures))]
            if failed:
                raise AssertionError(f"{len(failed)} of {len(listed)} fail:\n\n" + "\n\n".join(failed[:SHOWN]))

        signature = inspect.signature(test)
        kept = [parameter for name, parameter in signature.parameters.items() if name not in named]
        assert len(kept) + len(named) == len(signature.parameters)
        cast("Any", of_all).__signature__ = signature.replace(parameters=kept)
        return of_all

    return of_many


def _values(case: Any, count: int) -> tuple[Any, ...]:
    # What pytest.param holds is the values and an id.
    values = getattr(case, "values", None)
    if isinstance(values, tuple):
        return values
    return (case,) if count == 1 else tuple(case)


def _failure(test: Test, case: dict[str, Any], fixtures: dict[str, Any]) -> str:
    try:
        test(**case, **fixtures)
    except Exception as error:  # noqa: BLE001 # any way of failing is one
        told = ", ".join(f"{name}={value!r:.100}" for name, value in case.items())
        return f"{told}: {type(error).__name__}: {error}"
    return ""

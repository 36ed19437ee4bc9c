"""Changes that each report computes from its own values: what `dlq edit --change` takes. Pure.

    number(PATH)         a text that is a number becomes that number: "2.50" → 2.50, to the digit
    string(PATH)         a number, true or false becomes a text: 2.50 → "2.50"
    boolean(PATH)        a text "true" or "false" becomes true or false
    rename(PATH, NAME)   a member gets another name, where it stands
    remove(PATH)         what is there goes
    copy(FROM, TO)       a value from another path, in addition
    move(FROM, TO)       … and no longer where it was

One after the other, on one report, is how they are combined. There is no more to it on purpose: nothing here can loop,
read a file or see another report. A value that is what it should be already stays; one that cannot be turned into
what is asked for leaves its whole report as it was.
"""

import re
from collections.abc import Callable, Sequence

from roark_ops.mending import json_text
from roark_ops.mending.editing import CannotEdit
from roark_ops.mending.patching import Step

_CALL = re.compile(r"\s*([a-z]+)\s*\((.*)\)\s*", re.DOTALL)
_ONE = {"number", "string", "boolean", "remove"}
_TWO = {"rename", "copy", "move"}
FUNCTIONS = (*sorted(_ONE), *sorted(_TWO))


def read_changes(texts: Sequence[str]) -> list[Step]:
    """Return the steps that these expressions mean.

    Raises CannotEdit, which says what one should look like.
    """
    return [_read_change(text) for text in texts]


def _read_change(text: str) -> Step:
    called = _CALL.fullmatch(text)
    if called is None or called[1] not in FUNCTIONS:
        raise CannotEdit(f"{text}: must be one of {', '.join(f'{name}(…)' for name in FUNCTIONS)}")
    name, given = called[1], [each.strip() for each in called[2].split(",")]
    wanted = 2 if name in _TWO else 1
    if len(given) != wanted or not all(given):
        shape = {"rename": "rename(PATH, NAME)"}.get(name, f"{name}(FROM, TO)" if wanted == 2 else f"{name}(PATH)")
        raise CannotEdit(f"{text}: write {shape}")
    try:
        return _MADE.get(name, _on_one_place)(name, given)
    except ValueError as error:
        raise CannotEdit(f"{text}: {error}") from None


def _on_one_place(name: str, given: list[str]) -> Step:
    return Step(name, json_text.path_steps(given[0]))


def _from_another(name: str, given: list[str]) -> Step:
    return Step(name, json_text.path_steps(given[1]), origin=json_text.path_steps(given[0]))


def _renamed(_name: str, given: list[str]) -> Step:
    return Step("rename", json_text.path_steps(given[0]), json_text.string_text(given[1]))


_MADE: dict[str, Callable[[str, list[str]], Step]] = {"copy": _from_another, "move": _from_another, "rename": _renamed}

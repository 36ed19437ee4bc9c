"""Expressions of `dlq edit --change`: each report's own value, to the digit, and no byte beside it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_texts import values as any_values

from roark_ops.mending.editing import CannotEdit
from roark_ops.mending.expressions import FUNCTIONS, read_changes
from roark_ops.mending.patching import PatchFailed, apply

TEXT = b'{ "a" : {"n": "2.50" ,"m": 2.50, "t":"x", "yes":"True", "no": "false","nil":null,"list":["7", 8]} , "b":1e400}'


def changed(*texts: str, text: bytes = TEXT) -> str:
    return apply(text, read_changes(texts)).decode()


@pytest.mark.parametrize(
    ("texts", "old", "new"),
    [
        (["number(a.n)"], '"n": "2.50"', '"n": 2.50'),
        (["number(a.list[0])"], '["7", 8]', "[7, 8]"),
        (["number(/a/list/0)"], '["7", 8]', "[7, 8]"),
        (["string(a.m)"], '"m": 2.50', '"m": "2.50"'),
        (["string( b )"], '"b":1e400', '"b":"1e400"'),
        (["boolean(a.no)"], '"no": "false"', '"no": false'),
        (["rename(a.t, text)"], '"t":"x"', '"text":"x"'),
        (["remove(a.list)"], ',"list":["7", 8]', ""),
        (["copy(a.n, b)"], '"b":1e400', '"b":"2.50"'),
        (["copy(a.n, b)", "number(b)"], '"b":1e400', '"b":2.50'),
        (["move(a.t, b)"], "", None),
        (["number(a.m)"], "", ""),
        (["string(a.n)"], "", ""),
        (["rename(a.t, t)"], "", ""),
    ],
)
def test_a_change_is_made_where_it_says_and_nowhere_else(texts: list[str], old: str, new: str | None) -> None:
    if new is None:
        found = json.loads(changed(*texts))
        assert (found["b"], "t" in found["a"]) == ("x", False)
    else:
        assert changed(*texts) == TEXT.decode().replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("number(a.t)", "/a/t is a text that cannot become a number"),
        ("number(a.yes)", "/a/yes is a text that cannot become a number"),
        ("number(a.nil)", "/a/nil is null that cannot become a number"),
        ("number(a.list)", "/a/list is an array that cannot become a number"),
        ("string(a)", "/a is an object that cannot become a string"),
        ("boolean(a.yes)", "/a/yes is a text that cannot become a boolean"),
        ("boolean(a.m)", "/a/m is a number that cannot become a boolean"),
        ("number(a.missing)", "step 1 (number): nothing at /a/missing"),
        ("rename(a.t, n)", "/a/n exists already"),
        ("rename(a.list[0], x)", "/a/list/0 has no name: it is an element of an array"),
        ("copy(x, b)", "step 1 (copy): nothing at /x"),
        ("move(a, a.b)", "/a cannot be moved into itself"),
    ],
)
def test_what_cannot_be_done_to_a_report_is_said_without_its_value(text: str, why: str) -> None:
    with pytest.raises(PatchFailed) as failed:
        changed(text)
    assert str(failed.value) == why


@pytest.mark.parametrize("number", ["1,5", "+3", "007", "12.", ".5", "0x10", "NaN", "1_000", "", "5 %", "٣"])
def test_what_json_does_not_call_a_number_is_none(number: str) -> None:
    with pytest.raises(PatchFailed):
        changed("number(a)", text=json.dumps({"a": number}).encode())


@pytest.mark.parametrize("number", ["0", "-1", " 12345678901234567890 ", "1e-7", "2.50", "-0.0"])
def test_a_number_keeps_its_digits(number: str) -> None:
    assert changed("number(a)", text=json.dumps({"a": number}).encode()) == f'{{"a": {number.strip()}}}'


@pytest.mark.parametrize(
    "text",
    ["number", "number()", "number(a, b)", "eval(a)", "rename(a)", "copy(a)", "copy(a,)", "remove(.a)", "a = b", ""],
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(CannotEdit):
        read_changes([text])
    assert "number" in FUNCTIONS


def test_a_name_that_is_there_twice_is_renamed_twice() -> None:
    assert changed("rename(a, b)", text=b'{"a":1, "c":2, "a":3}') == '{"b":1, "c":2, "b":3}'


EXPRESSIONS = ["number(x)", "string(x)", "boolean(x)", "rename(x, y)", "remove(x)", "copy(x, z)"]


@given(any_values(), st.sampled_from(EXPRESSIONS))
def test_the_rest_of_any_report_stays_to_the_byte(value: str, expression: str) -> None:
    rest = b'"k" : ' + value.encode("utf-8", "surrogatepass")
    text = b'{"x": "12" ,' + rest + b"}"
    try:
        found = apply(text, read_changes([expression]))
    except PatchFailed:
        return
    assert rest in found


def test_a_change_made_twice_is_the_same_as_once() -> None:
    for text in ("number(a.n)", "string(a.m)", "boolean(a.no)", "copy(a.n, b)"):
        once = changed(text)
        assert changed(text, text=once.encode()) == once

"""Places in JSON text: found and changed without touching another byte."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_texts import values

from roark_ledger.errors import InvalidReport
from roark_ops.mending import json_text
from roark_ops.mending.json_text import NoSuchPlace, find, path_steps, pointer, pointer_steps, pretty

TEXT = b' {"a" : [1, {"b":"x]}\\"y"} , -1.50e+10 ] , "a~/b":{}, "":null,"big":12345678901234567890,"a":[2]} '


def at(text: bytes, path: str) -> bytes:
    span = find(text, path_steps(path))
    return text[span.start : span.end]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/a", b"[2]"),
        ("a[0]", b"2"),
        ("/a~0~1b", b"{}"),
        ("/", b"null"),
        ("big", b"12345678901234567890"),
    ],
)
def test_a_place_is_found_and_of_the_same_name_the_last_one(path: str, found: bytes) -> None:
    assert at(TEXT, path) == found


def test_strings_with_brackets_and_quotes_in_them_lead_nobody_astray() -> None:
    text = b'{"a":[1, {"b":"x]}\\"y"} , -1.50e+10 ]}'
    assert at(text, "a[1].b") == b'"x]}\\"y"'
    assert at(text, "a[2]") == b"-1.50e+10"


@pytest.mark.parametrize("path", ["b", "a[1]", "a[-1]", "/a/01", "/a/-", "big.x", "/a/0/0"])
def test_a_place_that_is_not_there_is_named(path: str) -> None:
    with pytest.raises(NoSuchPlace) as missing:
        find(TEXT, path_steps(path) if path != "a[-1]" else ("a", "-1"))
    assert str(missing.value).startswith("/")


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("endedAt", ("endedAt",)),
        ("artifact.messages[12].time", ("artifact", "messages", "12", "time")),
        ("a[0][1]", ("a", "0", "1")),
        ("artifact.messages.12", ("artifact", "messages", "12")),
        ("/artifact/messages/12", ("artifact", "messages", "12")),
        ("/a b/c.d", ("a b", "c.d")),
    ],
)
def test_a_place_is_named_by_a_path_or_by_a_pointer(path: str, steps: tuple[str, ...]) -> None:
    assert path_steps(path) == steps


@pytest.mark.parametrize("path", ["", ".a", "a..b", "a[", "a[x]", "a]", "/a~2"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"path|pointer"):
        path_steps(path)


@given(st.lists(st.text(max_size=4), max_size=4).map(tuple))
def test_a_pointer_leads_back_to_its_steps(steps: tuple[str, ...]) -> None:
    assert pointer_steps(pointer(steps)) == steps


@pytest.mark.parametrize("text", [b"", b"{", b'{"a":1}{', b"NaN", b"1,2", b'"\xff"', b'1,"value":2', b"[1,]"])
def test_what_is_not_one_json_value_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidReport):
        json_text.require_json(text, "report")


@given(values().map(str.encode))
def test_every_value_of_a_text_is_found_where_a_parser_sees_it(text: bytes) -> None:
    parsed = parse(text)
    for steps, value in places(parsed):
        span = find(text, steps)
        assert parse(text[span.start : span.end]) == value


@given(values().map(str.encode))
def test_printed_for_a_person_it_says_the_same_in_the_same_words(text: bytes) -> None:
    printed = pretty(text)
    assert parse(printed) == parse(text)
    assert pretty(printed) == printed


def parse(text: bytes) -> Any:
    # Numbers and strings as they stand; members in their order.
    return json.loads(text, parse_int=str, parse_float=str, object_pairs_hook=Members)


class Members(list[tuple[str, Any]]):
    """An object's members, those of the same name included."""


def places(value: Any, steps: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    found = [(steps, value)]
    if isinstance(value, Members):
        inner = dict(value).items()
    elif isinstance(value, list):
        inner = {str(number): element for number, element in enumerate(value)}.items()
    else:
        return found
    for name, child in inner:
        found += places(child, (*steps, name))
    return found

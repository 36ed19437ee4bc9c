"""Cutting a JSON object into its members: every byte of every value stays."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_texts import objects, spaces, values

from roark_ledger.errors import InvalidReport
from roark_producer.vapi.slices import members


def expected(found: list[tuple[str, str]]) -> dict[str, bytes]:
    """The members as the standard library names them; of the same name the last one counts."""
    return {json.loads(name): value.encode() for name, value in found}


def strict(text: str) -> object:
    """Parse as RFC 8259 has it: the standard library also takes NaN and Infinity."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    return json.loads(text, parse_constant=refuse, parse_int=str, parse_float=str)


@given(objects(), spaces)
def test_every_member_comes_out_as_the_bytes_that_went_in(
    document: tuple[str, list[tuple[str, str]]], space: str
) -> None:
    text, found = document

    assert members(f"{space}{text}{space}".encode(), "body") == expected(found)


@given(objects(lone_surrogates=False))
def test_the_fast_and_the_slow_reader_find_the_same(document: tuple[str, list[tuple[str, str]]]) -> None:
    text, found = document
    # A lone surrogate is what the fast reader gives up on.
    last = r'"slow":"\ud800"}'
    slow = text[:-1] + ("," if found else "") + last

    by_the_fast_one = members(text.encode(), "body")
    by_the_slow_one = members(slow.encode(), "body")

    assert by_the_slow_one == by_the_fast_one | {"slow": rb'"\ud800"'}


@given(objects(), st.data())
def test_a_damaged_document_is_read_exactly_where_a_strict_parser_reads_it(
    document: tuple[str, list[tuple[str, str]]], data: st.DataObject
) -> None:
    text, _ = document
    at = data.draw(st.integers(0, len(text)))
    to = data.draw(st.integers(at, min(len(text), at + 3)))
    damaged = text[:at] + data.draw(st.text('{}[],:"\\ 0e-+.tnNx\n', max_size=2)) + text[to:]
    try:
        valid = isinstance(strict(damaged), dict)
    except ValueError:
        valid = False

    try:
        members(damaged.encode(), "body")
        read = True
    except InvalidReport:
        read = False

    assert read == valid


@given(values().filter(lambda text: not text.startswith("{")))
def test_any_other_value_is_not_an_object(text: str) -> None:
    with pytest.raises(InvalidReport, match=r"^body: is not a JSON object$"):
        members(text.encode(), "body")


def test_of_two_members_of_one_name_the_last_one_counts() -> None:
    assert members(b'{"a":1,"b":2,"a":3}', "body") == {"a": b"3", "b": b"2"}
    assert members(rb'{"a":1,"b":"\ud800","a":3}', "body") == {"a": b"3", "b": rb'"\ud800"'}


def test_names_that_differ_only_in_their_escapes_are_the_same_name() -> None:
    assert members(rb'{"id":1,"\u0069d":2}', "body") == {"id": b"2"}


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (b"", "is not valid JSON: it ends too early"),
        (b"   ", "is not valid JSON: it ends too early"),
        (b'{"a":1', "is not valid JSON: it ends too early"),
        (b'{"a"', "is not valid JSON: it ends too early"),
        (b'{"a":}', "is not valid JSON: Expecting value (line 1, column 6)"),
        (b'{"a" 1}', "is not valid JSON: Expecting ':' (line 1, column 6)"),
        (b'{"a":1 "b":2}', "is not valid JSON: Expecting ',' (line 1, column 8)"),
        (b'{"a":1,}', "is not valid JSON: Expecting a name in double quotes (line 1, column 8)"),
        (b"{'a':1}", "is not valid JSON: Expecting a name in double quotes (line 1, column 2)"),
        (b'{\n"a":\nnope}', "is not valid JSON: Expecting value (line 3, column 1)"),
        (b'{"a":NaN}', "is not valid JSON: NaN is not JSON"),
        (b'{"a":-Infinity}', "is not valid JSON: -Infinity is not JSON"),
        (b'{"a":1}{"b":2}', "has data after its end (character 7)"),
        (b'{"a":1},', "has data after its end (character 7)"),
        (b'\xef\xbb\xbf{"a":1}', "is not valid JSON: Expecting value (line 1, column 1)"),
        (b'{"a":"\xff', "is not UTF-8 (byte 6)"),
        (b"[1]", "is not a JSON object"),
        (b'"text"', "is not a JSON object"),
        (b"17", "is not a JSON object"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "is nested too deeply"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(document: bytes, problem: str) -> None:
    with pytest.raises(InvalidReport) as caught:
        members(document, "body")

    assert caught.value.field == "body"
    assert caught.value.problem == problem


@pytest.mark.parametrize(
    "document",
    [
        b'{"transcript":"my number is secret" secret}',
        b'{"transcript":"secret\x00"}',
        b'{"transcript":"\\secret"}',
        b'{"transcript":"secret',
        b'{"secret":secret}',
        b'{"a":"b"} secret',
        b"secret",
    ],
)
def test_an_error_never_quotes_the_document(document: bytes) -> None:
    with pytest.raises(InvalidReport) as caught:
        members(document, "body")

    assert "secret" not in str(caught.value)


def test_a_number_longer_than_python_converts_is_no_problem() -> None:
    digits = b"9" * 10_000

    assert members(rb'{"a":' + digits + rb',"b":"\ud800"}', "body")["a"] == digits

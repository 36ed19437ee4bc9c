"""A phone number in a report: in whatever form it is written, and no other number for it."""

# ruff: noqa: RUF001 digits of other scripts are what this is about

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roark_ledger.errors import InvalidReport
from roark_ops.erasing.numbers import PhoneNumber
from roark_ops.erasing.searching import Places, Sought

NUMBER = "+15550101234"
FRENCH = PhoneNumber.read("+33612345678")


def places(document: Any, number: str = NUMBER, *texts: str) -> Places:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Sought((PhoneNumber.read(number),), texts).places_in(body)


@pytest.mark.parametrize("text", ["+15550101234", "+1 (555) 010-1234", "001 555 010 1234", "tel:+1-555-010-1234"])
def test_a_number_is_read_however_it_is_laid_out(text: str) -> None:
    assert PhoneNumber.read(text).e164 == NUMBER


def test_a_national_number_is_read_with_its_region_alone() -> None:
    assert PhoneNumber.read("06 12 34 56 78", "fr").e164 == "+33612345678"
    assert PhoneNumber.read("(555) 010-1234", "US").e164 == NUMBER
    with pytest.raises(InvalidReport, match="--region"):
        PhoneNumber.read("06 12 34 56 78")
    assert PhoneNumber.read("+999123456789").e164 == "+999123456789", "a country code that nobody has"


@pytest.mark.parametrize("text", ["", "5550101234", "+0555010123", "+1666", "call me", "+1555010123456789"])
def test_what_is_no_number_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(InvalidReport) as raised:
        PhoneNumber.read(text)

    assert not text or text not in str(raised.value)


FIELDS: tuple[tuple[object, str], ...] = (
    ({"call": {"customer": {"number": NUMBER}}}, "call.customer.number"),
    ({"phoneNumber": {"number": NUMBER}}, "phoneNumber.number"),
    ({"artifact": {"variables": {"customer": {"number": NUMBER}}}}, "artifact.variables.customer.number"),
    ({"customer": {"sipUri": "sip:+15550101234@carrier.example;transport=tls"}}, "customer.sipUri"),
    ({"messages": [{}, {"toolCalls": [{"to": "+1 555 010 1234"}]}]}, "messages[1].toolCalls[0].to"),
    ({"customer": {"sipUri": "sip:15550101234@carrier.example"}}, "customer.sipUri"),
    ({"metadata": {"caller": 15550101234}}, "metadata.caller"),
    ({"tool": {"arguments": '{"to": "(555) 010-1234"}'}}, "tool.arguments.to"),
    ({NUMBER: 1}, "(name of a field)"),
    ({"a": {"+1 555 010 1234": 1}}, "a (name of a field)"),
)


def test_it_is_found_in_any_field_that_it_fills() -> None:
    assert [places(report) for report, _ in FIELDS] == [Places((path,)) for _, path in FIELDS]


def test_other_text_that_has_it_only_mentions_it() -> None:
    for report, path in (
        ({"transcript": f"my sister's number is {NUMBER}, call her"}, "transcript"),
        ({"id": "5550101234"}, "id"),
        ({"id": 5550101234}, "id"),
        ({"url": "https://x.example/?to=%2B1%20555%20010%201234"}, "url"),
        ({"a": [{f"of {NUMBER}": 1}]}, "a[0] (name of a field)"),
    ):
        assert places(report) == Places((), (path,)), report


def test_no_other_number_is_taken_for_it() -> None:
    for report in (
        {"customer": {"number": "+15550101235"}},
        {"customer": {"number": NUMBER + "5"}},
        {"customer": {"number": "9" + NUMBER[1:]}},
        {"flag": True, "cost": 0.1234, "none": None},
        {"big": 915550101234, "text": "155501012345"},
    ):
        assert not places(report), report


def test_the_region_that_was_named_makes_a_bare_national_number_certain() -> None:
    assert Sought((PhoneNumber.read("5550101234", "US"),)).places_in(b'{"id":"5550101234"}') == Places(("id",))


def test_it_is_found_behind_escapes_and_odd_unicode() -> None:
    assert places(b'{"number":"\\u002b1555010\\u0031234","x":"\\ud800"}') == Places(("number",))


def test_what_is_no_json_is_searched_as_a_form_or_as_text_packed_or_not() -> None:
    assert places(b"From=%2B15550101234&Body=hi") == Places(("?",))
    assert places(b"call 555 010 1234 today") == Places((), ("?",))
    assert places(gzip.compress(b'{"a":"+15550101234"}')) == Places(("a",))
    assert places('{"a":"+15550101234"}'.encode("utf-16")) == Places(("a",))
    assert not places(b"\xff nothing 1234")


def test_numbers_of_any_length_do_no_harm() -> None:
    assert not places(b'{"a":' + b"1234" * 3000 + b"}")
    assert not places(b"[" * 100_000)
    assert not places({"a": "0" * 100_000, "b": "1-" * 50_000})


def test_texts_are_found_in_any_case_and_only_mentioned() -> None:
    for text in ("say Marie  Curie now", "MARIE CURIE", "Marie\nCurie", "Ｍarie Curie"):
        assert places({"a": text}, NUMBER, "marie curie") == Places((), ("a",)), text
    assert not places({"a": "Marie"}, NUMBER, "marie curie")


def test_what_is_masked_is_gone() -> None:
    for text in ("call 06 12 34 56 78 now", "x%2B33612345678y", "０６１２３４５６７８", "+33 (0)6 12 34 56 78"):
        assert not FRENCH.is_in(FRENCH.masked(text, "***"))
    assert FRENCH.masked("call 06 12 34 56 78 now", "***") == "call *** now"
    assert FRENCH.masked("call 06 12 34 56 79 now", "***") == "call 06 12 34 56 79 now"


GAPS = st.sampled_from(["", " ", "-", ".", " (", ") ", "\u2011", "\u00a0", "\u200b", "/", "\u202f"])


@given(st.sampled_from(["+33", "0033", "33", "0", "+33 (0)", "+33 0"]), st.lists(GAPS, min_size=8, max_size=8))
def test_any_layout_of_any_form_is_the_number(front: str, gaps: list[str]) -> None:
    text = front + "6" + "".join(gap + digit for gap, digit in zip(gaps, "12345678", strict=True))
    found = Sought((FRENCH,)).places_in(json.dumps({"a": text}).encode())
    assert found == Places(("a",))
    assert Sought((FRENCH,)).places_in(json.dumps({"a": f"ring {text}!"}, ensure_ascii=False).encode()).mentions == (
        "a",
    )


@given(st.from_regex(r"[0-9+ ().-]{0,25}", fullmatch=True))
def test_whatever_has_other_digits_is_not_the_number(text: str) -> None:
    digits = "".join(filter(str.isdigit, text))
    if not digits.endswith("612345678"):
        assert not FRENCH.is_whole(text)

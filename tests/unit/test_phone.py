"""A phone number in a report: found in whatever field it fills, and in no sentence."""

import json

import pytest

from roark_ledger.errors import InvalidReport
from roark_producer.vapi.phone import e164, places_of

NUMBER = "+15550101234"


@pytest.mark.parametrize("text", ["+15550101234", "+1 (555) 010-1234", "001 555 010 1234", "tel:+1-555-010-1234"])
def test_a_number_is_read_however_it_is_laid_out(text: str) -> None:
    assert e164(text) == NUMBER


@pytest.mark.parametrize("text", ["", "5550101234", "+0555010123", "+1666", "call me", "+1555010123456789"])
def test_what_is_no_number_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(InvalidReport) as raised:
        e164(text)

    assert not text or text not in str(raised.value)


@pytest.mark.parametrize(
    ("report", "path"),
    [
        ({"call": {"customer": {"number": NUMBER}}}, "call.customer.number"),
        ({"customer": {"number": NUMBER}}, "customer.number"),
        ({"phoneNumber": {"number": NUMBER}}, "phoneNumber.number"),
        ({"artifact": {"variables": {"customer": {"number": NUMBER}}}}, "artifact.variables.customer.number"),
        ({"customer": {"sipUri": "sip:+15550101234@carrier.example;transport=tls"}}, "customer.sipUri"),
        ({"messages": [{}, {"toolCalls": [{"to": "+1 555 010 1234"}]}]}, "messages[1].toolCalls[0].to"),
        ({"customer": {"sipUri": "sip:15550101234@carrier.example"}}, "customer.sipUri"),
        ({"metadata": {"caller": 15550101234}}, "metadata.caller"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_it_is_found_in_any_field_that_it_fills(report: object, path: str) -> None:
    assert places_of(NUMBER, json.dumps(report).encode()) == [path]


@pytest.mark.parametrize(
    "report",
    [
        {"transcript": f"my sister's number is {NUMBER}, call her"},
        {"customer": {"number": "+15550101235"}},
        {"customer": {"number": NUMBER + "5"}},
        {"id": "5550101234"},
        {"flag": True, "cost": 0.1234},
    ],
)
def test_neither_a_sentence_nor_another_number_is_taken_for_it(report: object) -> None:
    assert places_of(NUMBER, json.dumps(report).encode()) == []


def test_it_is_found_behind_escapes_and_odd_unicode() -> None:
    escaped = b'{"number":"\\u002b1555010\\u0031234","x":"\\ud800"}'

    assert places_of(NUMBER, escaped) == ["number"]


def test_what_is_no_json_is_searched_as_text() -> None:
    assert places_of(NUMBER, b"From=%2B15550101234&Body=hi") == ["?"]
    assert places_of(NUMBER, b"\xff nothing 1234") == []


def test_numbers_of_any_length_do_no_harm() -> None:
    assert places_of(NUMBER, b'{"a":' + b"1234" * 3000 + b"}") == []

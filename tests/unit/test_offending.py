"""What stands in the field that Roark names: told where it may be, and never what people said or who they are."""

import json

import pytest

from roark_ops.mending.offending import value_in_words, values_in_words

PHONE = "+15550101234"
PAYLOAD = json.dumps(
    {
        "type": "end-of-call-report",
        "endedAt": "2026-01-31T10:00:00.000Z",
        "endedReason": "customer-ended-call",
        "durationMs": 81200,
        "cost": None,
        "success": True,
        "empty": "",
        "sentence": "my card number is four two",
        "contact": PHONE,
        "digits": "5550101234",
        "transcript": "hello",
        "summary": "ok",
        "call": {
            "id": "01a19b7c-f28d-782e-a014-00426f00450b",
            "phoneNumberId": "01a19b7c-f28d-782e-a014-00426f00450b",
            "customer": {"number": PHONE, "name": "Ada", "born": "1990-01-31", "extension": 15550101234},
        },
        "artifact": {"messages": [{"role": "user", "message": "secret", "time": 12.5}]},
    }
).encode()


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ("endedAt", 'which is "2026-01-31T10:00:00.000Z"'),
        ("message.endedAt", 'which is "2026-01-31T10:00:00.000Z"'),
        ("vapiEndOfCallReportPayload.endedAt", 'which is "2026-01-31T10:00:00.000Z"'),
        ("/vapiEndOfCallReportPayload/message/endedAt", 'which is "2026-01-31T10:00:00.000Z"'),
        ("endedReason", 'which is "customer-ended-call"'),
        ("durationMs", "which is 81200"),
        ("cost", "which is null"),
        ("success", "which is true"),
        ("empty", 'which is ""'),
        ("call.id", 'which is "01a19b7c-f28d-782e-a014-00426f00450b"'),
        ("call.phoneNumberId", 'which is "01a19b7c-f28d-782e-a014-00426f00450b"'),
        ("call", "which is an object with 3 members"),
        ("artifact.messages", "which is a list with 1 member"),
        ("startedAt", "which is missing"),
        ("artifact.messages[3].time", "which is missing"),
        ("what is this?[", ""),
        ("", ""),
        # Private: kind and size alone.
        ("transcript", "which is a text of 5 characters"),
        ("summary", "which is a text of 2 characters"),
        ("sentence", "which is a text of 26 characters"),
        ("contact", "which is a text of 12 characters"),
        ("digits", "which is a text of 10 characters"),
        ("call.customer.number", "which is a text of 12 characters"),
        ("call.customer.name", "which is a text of 3 characters"),
        ("call.customer.born", "which is a text of 10 characters"),
        ("call.customer.extension", "which is a number"),
        ("artifact.messages[0].message", "which is a text of 6 characters"),
    ],
)
def test_it_is_told_in_words_that_may_be_shown(parameter: str, words: str) -> None:
    assert value_in_words(PAYLOAD, parameter) == words


def test_a_phone_number_is_never_told_whatever_its_field_is_called() -> None:
    for number in (PHONE, "555-010-1234", "(555)0101234", "0049.30.1234567", "tel:+15550101234"):
        payload = json.dumps({"code": number}).encode()
        assert number not in value_in_words(payload, "code")


def test_of_several_reports_the_commonest_value_is_told_with_its_number() -> None:
    a, b, missing = 'which is "a"', 'which is "b"', "which is missing"
    assert values_in_words([a], 1) == a
    assert values_in_words([a, a, a], 3) == a
    assert values_in_words([a, b, a], 3) == f"{a} in 2 of 3 (2 different values)"
    assert values_in_words([missing, a, b], 3) == "which is missing in 1 of 3 (3 different values)"
    assert values_in_words([a, a], 5) == f"{a} in 2 of the 2 latest"
    assert values_in_words([a, b, a], 500) == f"{a} in 2 of the 3 latest (2 different values)"
    assert values_in_words([a, ""], 2) == f"{a} in 1 of 2"
    some = "which is a text of 4 characters"
    assert values_in_words([some, b, some], 3) == f"{some} in 2 of 3"
    assert values_in_words(["", ""], 2) == values_in_words([], 2) == ""

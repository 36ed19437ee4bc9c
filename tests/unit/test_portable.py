"""Dead letters in a file: what goes out comes back byte for byte."""

import json

import pytest
from histories import lines_of
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from roark_ledger.errors import InvalidReport
from roark_ledger.lifecycle import State
from roark_ledger.packing import pack, unpack
from roark_ledger.records.letters import DeadLetter
from roark_ledger.records.record import Event, Record
from roark_ops.desk.portable import export_line, read_line

RECORD = Record(State.DEAD, "print", 1000, 2000, 3, 0, 0, "fresh", False, "http_422")
LETTER = DeadLetter(
    "c-1", 2000, RECORD, lines_of(Event(2000, "buried", {"status": 422, "message": "bad", "attempt": 3}))
)


def payload(**more: object) -> bytes:
    return json.dumps({"type": "end-of-call-report", "call": {"id": "c-1"}} | more, ensure_ascii=False).encode()


def test_a_line_is_json_with_the_reason_and_the_report() -> None:
    line = export_line(replace(LETTER, packed=pack(payload(), b'{"tenant":"acme"}')))
    found = json.loads(line)
    assert (found["call_id"], found["reason"], found["status"], found["message"]) == ("c-1", "http_422", 422, "bad")
    assert (found["attempts"], found["died_ms"], found["properties"]) == (3, 2000, {"tenant": "acme"})
    assert found["payload"] == json.loads(payload())
    assert found["history"] == [{"at_ms": 2000, "event": "buried", "status": 422, "message": "bad", "attempt": 3}]


def test_the_history_keeps_what_was_noted_as_it_was_noted() -> None:
    noted = b'1000 deferred {"ms":2.50,"message":"a \\u2028 b"}\n1500 replaced {}\n2000 poisoned {"deaths":3}\n'
    line = export_line(replace(LETTER, packed=pack(payload()), lines=noted))
    assert b'{"at_ms":1000,"event":"deferred","ms":2.50,"message":"a \\u2028 b"}' in line
    assert json.loads(line)["history"][1:] == [
        {"at_ms": 1500, "event": "replaced"},
        {"at_ms": 2000, "event": "poisoned", "deaths": 3},
    ]
    assert json.loads(export_line(replace(LETTER, packed=pack(payload()), lines=b"")))["history"] == []


@given(
    st.text(max_size=50),
    st.sampled_from([None, 1, 2]),
    st.sampled_from([b"", b'{"n":123456789012345678901234567890,"x":"\xe2\x80\xa8"}']),
)
def test_payload_and_properties_come_back_byte_for_byte(text: str, indent: int | None, properties: bytes) -> None:
    report = {"type": "end-of-call-report", "call": {"id": "c-1"}, "text": text.encode("utf-8", "replace").decode()}
    sent = json.dumps(report, indent=indent, ensure_ascii=False).encode().replace(b'"text"', b'"big": 1e400, "text"')
    line = export_line(replace(LETTER, packed=pack(sent, properties)))
    assert b"\n" not in line
    back = read_line(line)
    assert back.call_id == "c-1"
    assert unpack(back.packed) == (sent, properties)


def test_a_report_with_a_member_called_message_is_not_taken_for_an_envelope() -> None:
    sent = payload(message={"type": "status-update"})
    assert unpack(read_line(export_line(replace(LETTER, packed=pack(sent)))).packed).payload == sent


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (payload(), "payload"),
        (b"nonsense", "line"),
        (b'{"payload":{"type":"status-update"}}', "payload"),
        (b'{"payload":{"type":"end-of-call-report"}}', "call"),
        (b'{"payload_base64":"%%"}', "payload_base64"),
        (b'{"properties":[1],"payload":' + payload() + b"}", "properties"),
    ],
)
def test_what_is_no_exported_letter_is_refused_by_the_field_that_is_wrong(line: bytes, field: str) -> None:
    with pytest.raises(InvalidReport) as refused:
        read_line(line)
    assert refused.value.field == field


def test_an_import_takes_no_properties_that_no_other_way_takes() -> None:
    for properties in (
        b'{"a b":1}',
        b'{"A":1}',
        b'{"a":null}',
        b'{"a":{"b":1}}',
        b'{"a":[1]}',
        b"[]",
        b"{" + b",".join(b'"a%d":1' % number for number in range(101)) + b"}",
    ):
        with pytest.raises(InvalidReport, match="properties"):
            read_line(b'{"properties":' + properties + b',"payload":' + payload() + b"}")
    kept = b'{"a":"x","b":-1.50,"c":true,"d_1":1e400}'
    assert unpack(read_line(b'{"properties":' + kept + b',"payload":' + payload() + b"}").packed).properties == kept

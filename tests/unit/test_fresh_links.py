"""Fresh audio links in a report's place, and no other byte of it touched."""

import json

import pytest
from call_objects import call_bytes
from hypothesis import given
from hypothesis import strategies as st
from json_texts import spaces

from roark_producer.vapi.report import Report, read_message
from roark_worker.calls.fresh_links import links_end, with_fresh_links

OLD = {"presignedMonoUrl": "https://s/a?X=1", "presignedUrlsExpiresAt": "2026-11-01T10:32:00.000Z"}
NEW = {"presignedMonoUrl": "https://s/a?X=2", "presignedUrlsExpiresAt": "2026-11-02T10:32:00.000Z"}
CALL = call_bytes("c-1", artifact={**NEW, "presignedStereoUrl": "https://s/b?X=2", "messages": []})


def report(artifact: dict[str, object], **more: object) -> bytes:
    message = {"type": "end-of-call-report", "call": {"id": "c-1"}, "artifact": artifact} | more
    return json.dumps(message, separators=(",", ":")).encode()


def test_only_the_links_that_were_there_are_replaced() -> None:
    before = report({"a": 1.10, **OLD, "z": "\ud83d"}, cost=123456789012345678901)

    after = with_fresh_links(before, CALL)

    assert after == before.replace(b"X=1", b"X=2").replace(b"11-01T10:32", b"11-02T10:32")
    assert links_end(after) - links_end(before) == 86_400_000


def test_a_copy_of_the_artifact_stays_what_it_was() -> None:
    nested = OLD | {"nodes": [OLD], "message": OLD}
    before = report({"nodes": [OLD], **nested}, aCopy={"artifact": nested}, call={"id": "c-1", "artifact": nested})

    after = json.loads(with_fresh_links(before, CALL))

    assert after["artifact"] == nested | NEW
    assert after["aCopy"]["artifact"] == nested
    assert after["call"]["artifact"] == nested


@given(text=spaces)
def test_whatever_stands_between_name_and_value(text: str) -> None:
    layout = text.encode()
    artifact = b'{"presignedMonoUrl"' + layout + b":" + layout + b'"https://s/a?X=1"' + layout + b"}"
    before = b'{"type":"end-of-call-report","call":{"id":"c-1"},"artifact":' + artifact + b"}"

    assert with_fresh_links(before, CALL) == before.replace(b"X=1", b"X=2")


@pytest.mark.parametrize(
    "call", [b"", b"[]", b'{"id":"c-1"}', b'{"artifact":{}}', b'{"artifact":{"presignedMonoUrl":null}}']
)
def test_without_fresh_links_it_stays_as_it_is(call: bytes) -> None:
    before = report(OLD)

    assert with_fresh_links(before, call) == before


@given(value=st.binary(max_size=60))
def test_what_is_no_report_stays_as_it_is(value: bytes) -> None:
    assert with_fresh_links(value, CALL) == value or isinstance(json.loads(value), dict)
    assert isinstance(links_end(value), int)


def test_the_fingerprint_stays_so_that_a_repeat_is_still_recognised() -> None:
    before = report(OLD)

    first, second = read_message(before), read_message(with_fresh_links(before, CALL))

    assert isinstance(first, Report)
    assert isinstance(second, Report)
    assert first.fingerprint == second.fingerprint

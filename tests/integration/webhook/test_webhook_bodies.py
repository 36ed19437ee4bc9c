"""What an authenticated sender may post: packed bodies, several messages at once, envelopes, unknown messages."""

import base64
import gzip
import hmac
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote_plus

import brotli
import httpx
import pytest
import zstandard
from webhook_process import MOST_BYTES, SECRET, Valkey, Webhook, answer_of, ids, report, sent_by_hand, start, total

from roark_ledger.ledger import Ledger
from roark_ledger.moves import watch
from roark_ledger.packing import unpack
from roark_ledger.records.rejected import Rejected
from roark_ops.desk.rejected import RejectedBin

BOM = b"\xef\xbb\xbf"


def raw_deflated(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


PACKED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "gzip in capitals": ("GZIP", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "deflate without its frame": ("deflate", raw_deflated),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstandard.compress),
    "zstd without a size": ("zstd", lambda body: zstandard.ZstdCompressor(write_content_size=False).compress(body)),
    "gzip of two members": ("gzip", lambda body: gzip.compress(body[:50]) + gzip.compress(body[50:])),
    "gzip, then gzip": ("gzip, gzip", lambda body: gzip.compress(gzip.compress(body))),
    "deflate, then br": ("deflate, br", lambda body: brotli.compress(zlib.compress(body))),
    "identity": ("identity", bytes),
    "a coding that is none": ("utf-8", bytes),
    "said to be gzip, and plain": ("gzip", bytes),
    "said to be br, and plain": ("br", bytes),
    "gzip that says nothing": ("", gzip.compress),
    "zstd that says nothing": ("", zstandard.compress),
}


def payload_of(ledger: Ledger, call_id: str) -> bytes:
    entry = ledger.run(watch.look(call_id))
    assert entry
    return unpack(entry.packed).payload


def in_the_bin(ledger: Ledger, body: bytes) -> Rejected | None:
    found = RejectedBin(ledger)
    return next((entry for entry in found.entries() if found.body(entry) == body), None)


@pytest.mark.parametrize(("coding", "pack"), PACKED.values(), ids=PACKED)
def test_a_packed_body_is_taken_byte_for_byte(
    coding: str, pack: Callable[[bytes], bytes], webhook: Webhook, ledger: Ledger, call_id: str
) -> None:
    body = report(call_id, wrap=False)
    answer = webhook.post(pack(body), **({"Content_Encoding": coding} if coding else {}))
    assert (answer.status_code, answer.json()) == (200, {"result": "accepted", "call_id": call_id})
    assert payload_of(ledger, call_id) == body


def test_a_coding_may_be_named_in_headers_of_its_own(webhook: Webhook, call_id: str) -> None:
    body = brotli.compress(gzip.compress(report(call_id)))
    headers = [("X-Vapi-Secret", SECRET), ("Content-Encoding", "gzip"), ("Content-Encoding", "br")]
    assert webhook.client.post(webhook.url, content=body, headers=headers).json()["result"] == "accepted"


def test_a_packed_body_may_come_in_chunks(webhook: Webhook, call_id: str) -> None:
    packed = gzip.compress(report(call_id))
    answer = webhook.post((packed[start : start + 7] for start in range(0, len(packed), 7)), Content_Encoding="gzip")
    assert answer.json()["result"] == "accepted"


BOMBS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda body: gzip.compress(body, 9),
    "deflate": lambda body: zlib.compress(body, 9),
    "br": lambda body: brotli.compress(body, quality=5),
    "zstd": zstandard.compress,
}


@pytest.mark.parametrize("coding", BOMBS)
def test_a_body_that_would_be_too_large_unpacked_is_answered_413_and_kept_packed(
    coding: str, webhook: Webhook, ledger: Ledger
) -> None:
    bomb = BOMBS[coding](b'{"message":' + b" " * 100_000_000)
    assert len(bomb) < MOST_BYTES
    answer = webhook.post(bomb, Content_Encoding=coding)
    assert answer.status_code == 413
    kept = in_the_bin(ledger, bomb)
    assert kept
    assert "ROARK_INGEST_MAX_REPORT_BYTES" in kept.problem
    assert peak_memory_mb(webhook) < 250


def peak_memory_mb(webhook: Webhook) -> float:
    with open(f"/proc/{webhook.process.pid}/status") as status:
        (line,) = (line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_packed_body_that_was_cut_short_is_kept_as_it_came(coding: str, webhook: Webhook, ledger: Ledger) -> None:
    packed = PACKED[coding][1](report(next(ids)))[:-9]
    answer = webhook.post(packed, Content_Encoding=coding)
    assert (answer.status_code, answer.json()["result"]) == (422, "rejected")
    assert in_the_bin(ledger, packed)


def test_nobody_unknown_gets_anything_unpacked(webhook: Webhook, call_id: str) -> None:
    answer = webhook.post(gzip.compress(report(call_id)), Content_Encoding="gzip", X_Vapi_Secret="wrong")
    assert answer.status_code == 401


def test_a_signature_is_over_the_bytes_as_they_came(valkey: Valkey, tmp_path: Path) -> None:
    settings = {"webhook_hmac": "sha256", "webhook_payload_format": "{body}", "webhook_timestamp_header": ""}
    plain = report(next(ids))
    packed = gzip.compress(plain)
    with start(tmp_path, valkey.url, **settings) as webhook:
        statuses = [
            webhook.post(
                packed, Content_Encoding="gzip", X_Signature=hmac.new(SECRET.encode(), over, "sha256").hexdigest()
            ).status_code
            for over in (plain, packed)
        ]
    assert statuses == [401, 200]


@pytest.mark.parametrize("before", [BOM, b"\n" + BOM, BOM + b"\r\n ", BOM + b"\n\n"])
@pytest.mark.parametrize("wrap", [True, False])
def test_a_byte_order_mark_is_taken_off(before: bytes, wrap: bool, webhook: Webhook, ledger: Ledger) -> None:
    call_id = next(ids)
    assert webhook.post(before + report(call_id, wrap=wrap)).json()["result"] == "accepted"
    assert payload_of(ledger, call_id).startswith(b"{")


BATCHES: dict[str, Callable[[list[bytes]], bytes]] = {
    "an array": lambda bodies: b"[" + b",".join(bodies) + b"]",
    "an array over lines": lambda bodies: BOM + b"[\r\n  " + b",\r\n  ".join(bodies) + b"\r\n]\r\n",
    "one a line": b"\n".join,
    "one a line, with marks and blank lines": lambda bodies: BOM + (b"\r\n\r\n" + BOM).join(bodies) + b"\r\n",
    "one behind the other": b"".join,
    "one behind the other with blanks": b" ".join,
    "arrays on lines": lambda bodies: b"\n".join(b"[" + body + b"]" for body in bodies),
    "one a line, as on old Macs": b"\r".join,
    "an array of strings": lambda bodies: json.dumps([body.decode() for body in bodies]).encode(),
    "strings, one a line": lambda bodies: b"\n".join(json.dumps(body.decode()).encode() for body in bodies),
    "UTF-16, an array": lambda bodies: (b"[" + b",".join(bodies) + b"]").decode().encode("utf-16"),
    "packed, one a line": lambda bodies: gzip.compress(b"\n".join(bodies)),
}


@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("wrap", [True, False])
def test_several_messages_are_taken_with_a_result_for_each(
    batch: Callable[[list[bytes]], bytes], wrap: bool, webhook: Webhook, ledger: Ledger
) -> None:
    calls = [next(ids) for _ in range(3)]
    answer = webhook.post(batch([report(call_id, wrap=wrap) for call_id in calls]))
    assert answer.status_code == 200
    assert answer.json() == {"results": [{"result": "accepted", "call_id": call_id} for call_id in calls]}
    assert payload_of(ledger, calls[2]) == report(calls[2], wrap=False)


def test_an_array_of_one_has_one_result(webhook: Webhook, call_id: str) -> None:
    assert webhook.post(b"[" + report(call_id) + b"]").json() == {
        "results": [{"result": "accepted", "call_id": call_id}]
    }


def test_of_several_messages_what_is_unusable_is_kept_and_the_rest_taken(webhook: Webhook, ledger: Ledger) -> None:
    first, second, broken = next(ids), next(ids), b'{"type":"end-of-call-report","call":{"id":"caf\xc3\xa9"}}'
    bodies = [report(first), b'{"message":{"type":"status-update"}}', broken, report(first), report(second)]
    answer = webhook.post(b"[" + b",".join(bodies) + b"]")
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [one["result"] for one in results] == ["accepted", "ignored", "rejected", "duplicate", "accepted"]
    assert in_the_bin(ledger, broken)


def test_of_two_reports_of_one_call_the_later_one_is_the_newer(webhook: Webhook, ledger: Ledger, call_id: str) -> None:
    newer = report(call_id, wrap=False, endedReason="assistant-ended-call")
    answer = webhook.post(b"[" + report(call_id) + b"," + newer + b"]")
    assert [one["result"] for one in answer.json()["results"]] == ["accepted", "replaced"]
    assert payload_of(ledger, call_id) == newer


@pytest.mark.parametrize("body", [b"[1,2,3]", b"[[]]", b"hello\nworld", b'{"a":1}\n{"b":2}', b"[{},{}]", b"}{}{"])
def test_several_documents_without_a_message_are_kept_as_one(body: bytes, webhook: Webhook, ledger: Ledger) -> None:
    assert webhook.post(body).status_code == 422
    assert in_the_bin(ledger, body)


def test_more_messages_than_anybody_sends_are_kept_as_one(webhook: Webhook, ledger: Ledger) -> None:
    body = b"{}" * 10_001
    answer = webhook.post(body)
    assert (answer.status_code, answer.json()["reason"]) == (422, "contains more than 10000 documents")
    assert in_the_bin(ledger, body)


def enveloped(call_id: str) -> dict[str, bytes]:
    wrapped = report(call_id).decode()
    bare = report(call_id, wrap=False).decode()
    text = json.dumps(wrapped)
    packed = base64.b64encode(wrapped.encode()).decode()
    return {
        "CloudEvents": f'{{"specversion":"1.0","type":"ai.vapi.report","id":"1","data":{wrapped}}}'.encode(),
        "CloudEvents, bare": f'{{"specversion":"1.0","type":"x","data":{bare}}}'.encode(),
        "CloudEvents, a string": f'{{"specversion":"1.0","type":"x","data":{text}}}'.encode(),
        "Standard Webhooks": f'{{"type":"message.created","data":{wrapped}}}'.encode(),
        "Standard Webhooks, deeper": f'{{"type":"a","timestamp":"2026","data":{{"event":{wrapped}}}}}'.encode(),
        "SNS": f'{{"Type":"Notification","TopicArn":"arn","Message":{text}}}'.encode(),
        "Pub/Sub": f'{{"message":{{"data":"{packed}","messageId":"1"}},"subscription":"projects/p"}}'.encode(),
        "Event Grid": f'{{"id":"1","eventType":"x","subject":"s","data":{wrapped},"dataVersion":"1"}}'.encode(),
        "a string": text.encode(),
        "base64": packed.encode(),
        "a form": b"payload=" + quote_plus(wrapped).encode(),
        "EventBridge": f'{{"detail-type":"x","source":"y","detail":{wrapped}}}'.encode(),
    }


@pytest.mark.parametrize(
    "data", [b'{"a":1}', b'{"message":{"type":"transcript","call":{"id":"x"}}}'], ids=["something", "a transcript"]
)
def test_what_pubsub_brings_is_judged_by_what_is_in_it(data: bytes, webhook: Webhook, ledger: Ledger) -> None:
    pushed = {"message": {"data": base64.b64encode(data).decode(), "messageId": "1"}, "subscription": "projects/p"}
    body = json.dumps(pushed).encode()
    if b"transcript" in data:
        assert webhook.post(body).json() == {}
        assert not in_the_bin(ledger, body)
    else:
        assert "a message of Google Pub/Sub" in rejected(webhook, ledger, body).json()["reason"]


def test_what_event_grid_brings_is_taken_event_by_event(webhook: Webhook) -> None:
    events = [json.loads(enveloped(f"grid-{number}")["Event Grid"]) for number in range(2)]
    answer = webhook.post(json.dumps(events).encode())
    assert [each["result"] for each in answer.json()["results"]] == ["accepted"] * 2


@pytest.mark.parametrize("behind", [b"\x1a", b"\r\n\x1a", b"\0", b"\x1e\n"])
def test_a_mark_of_the_end_behind_a_report_is_passed_over(
    behind: bytes, webhook: Webhook, ledger: Ledger, call_id: str
) -> None:
    assert webhook.post(report(call_id) + behind).json() == {"result": "accepted", "call_id": call_id}
    assert payload_of(ledger, call_id) == report(call_id, wrap=False)


@pytest.mark.parametrize(
    ("encoding", "charset"),
    [
        ("utf-16", "utf-16"),
        ("utf-16-le", ""),
        ("utf-32", ""),
        ("utf-8", "utf-16"),
        ("utf-8", "iso-8859-1"),
        ("iso-8859-1", "ISO-8859-1"),
        ("cp1252", '"windows-1252"'),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_text_in_another_encoding_is_taken(
    encoding: str, charset: str, packed: bool, webhook: Webhook, ledger: Ledger, call_id: str
) -> None:
    wanted = report(call_id, wrap=False, summary="Grüße", artifact={})
    body = report(call_id, summary="Grüße", artifact={}).decode().encode(encoding)
    headers = {"Content_Type": "application/json" + (f"; charset={charset}" if charset else "")}
    answer = webhook.post(gzip.compress(body) if packed else body, **headers)
    assert answer.json() == {"result": "accepted", "call_id": call_id}
    assert payload_of(ledger, call_id) == wanted


@pytest.mark.parametrize("charset", ["zip", "idna", "hex", "x" * 1000, "utf-7", ""])
def test_a_charset_that_helps_nobody_changes_nothing(charset: str, webhook: Webhook, ledger: Ledger) -> None:
    body = b'{"type":"end-of-call-report","call":{"id":"x"},"a":"\xe4"}'
    answer = webhook.post(body, Content_Type=f"application/json; charset={charset}")
    assert (answer.status_code, answer.json()["reason"]) == (422, "is not UTF-8 (byte 52)")
    assert in_the_bin(ledger, body)


def test_blanks_behind_the_secret_are_no_part_of_it(webhook: Webhook, call_id: str) -> None:
    body = report(call_id)
    head = f"POST /vapi HTTP/1.1\r\nHost: x\r\nX-Vapi-Secret:  {SECRET} \t\r\nContent-Length: {len(body)}\r\n"
    answer = answer_of(sent_by_hand(webhook.address, head.encode() + b"Connection: close\r\n\r\n" + body))
    assert b'"accepted"' in answer


@pytest.mark.parametrize("kind", enveloped(""))
def test_an_envelope_that_can_only_carry_one_report_is_opened(
    kind: str, webhook: Webhook, ledger: Ledger, call_id: str
) -> None:
    answer = webhook.post(enveloped(call_id)[kind])
    assert (answer.status_code, answer.json()) == (200, {"result": "accepted", "call_id": call_id})
    assert payload_of(ledger, call_id) == report(call_id, wrap=False)


def rejected(webhook: Webhook, ledger: Ledger, body: bytes, status: int = 422) -> httpx.Response:
    answer = webhook.post(body)
    assert answer.status_code == status
    assert in_the_bin(ledger, body)
    return answer


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            b'{"id":7,"payload":{"message":{"type":"end-of-call-report","call":{"id":"x7"}}}}',
            "is at .payload.message",
        ),
        (b'{"specversion":"1.0","data":{"a":1}}', "a CloudEvents envelope"),
        (b'{"id":"c9","orgId":"o","type":"webCall","artifact":{}}', "a Call object of Vapi's API"),
        (b'{"results":[{"id":"c8","orgId":"o","type":"webCall"}]}', "is at .results[]"),
        (b'{"message":{"type":"End-Of-Call-Report","call":{"id":"x1"}}}', "is misspelled"),
        (b'{"message":{"type":" end-of-call-report","call":{"id":"x2"}}}', "is misspelled"),
        (b'{"message":{"type":"end_of_call_report","call":{"id":"x2"}}}', "is misspelled"),
        (b'{"message":{"type":"","call":{"id":"x3"}}}', "not a known Vapi message type"),
        (b'{"type":"invoice.paid"}', "not a known Vapi message type"),
        (b'{"message":{"type":"call-summary","call":{},"artifact":{},"endedReason":"x"}}', "looks like an end-of-call"),
        (b'{"type":["end-of-call-report"]}', "is not a string"),
        (b'[[{"type":"end-of-call-report","call":{"id":"x"}}]]', "is at [][]"),
        (b'[{"id":"c8","orgId":"o","type":"webCall"}]', "a Call object of Vapi's API, not an end-of-call report"),
        (b'data: {"type":"end-of-call-report","call":{"id":"x"}}', "in the JSON from byte 7 on"),
        (b'{"type":"end-of-call-report","type":"transcript","call":{"id":"x"}}', "also has the type"),
    ],
)
def test_what_is_no_report_is_kept_with_words(body: bytes, said: str, webhook: Webhook, ledger: Ledger) -> None:
    assert said in rejected(webhook, ledger, body).json()["reason"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"message":{"type":"assistant.thinking","call":{"id":"y1"}}}',
        b'{"message":{"type":"turn-taken","timestamp":1790000000000}}',
        b'{"message":{"type":"turn-taken"}}',
        b'{"type":"assistant.thinking","call":{"id":"y2"}}',
    ],
)
def test_a_message_of_vapis_that_nobody_knows_is_kept_and_not_asked_for_again(
    body: bytes, webhook: Webhook, ledger: Ledger
) -> None:
    assert rejected(webhook, ledger, body, 200).json()["result"] == "kept"


@pytest.mark.parametrize("kind", ["status-update", "chat.created", 'transcript[transcriptType="final"]', "hang"])
def test_the_known_other_messages_are_ignored_in_an_envelope_too(kind: str, webhook: Webhook, ledger: Ledger) -> None:
    before = total(ledger, "rejected")
    message = {"type": kind, "call": {"id": "z"}}
    for body in ({"message": message}, message, {"specversion": "1.0", "type": "x", "data": {"message": message}}):
        answer = webhook.post(json.dumps(body).encode())
        assert (answer.status_code, answer.json()) == (200, {})
    assert total(ledger, "rejected") == before


def test_nothing_of_a_body_is_repeated_but_names(webhook: Webhook) -> None:
    body = b'{"+15550101234":{"message":{"type":"end-of-call-report","call":{"id":"x"}}},"type":"+15550101234"}'
    assert "5550101234" not in webhook.post(body).text

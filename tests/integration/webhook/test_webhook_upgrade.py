"""Offers of another protocol, and what else HTTP/1.1 lets a client say: the report is in its request all the same."""

import shutil
import subprocess
from itertools import pairwise

import pytest
from webhook_process import SECRET, Webhook, answer_of, heard, ids, report, sent_by_hand

OFFERS = {
    "curl --http2": ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"),
    "Java's HttpClient": ("Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAEAAEAA", "Upgrade: h2c"),
    "nginx set up for WebSockets": ("Upgrade: websocket", "Connection: upgrade"),
    "a WebSocket": (
        "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZQ==", "Sec-WebSocket-Version: 13",
    ),
    "TLS": ("Connection: upgrade", "Upgrade: TLS/1.2, HTTP/2.0"),
    "small letters": ("connection: UPGRADE", "upgrade: H2C"),
    "two headers": ("Connection: keep-alive", "Connection: Upgrade", "Upgrade: h2c", "Upgrade: websocket"),
    "no Connection": ("Upgrade: h2c",),
}  # fmt: skip


def request(call_id: str, *lines: str, more: tuple[str, ...] = ("Connection: close",)) -> tuple[bytes, bytes]:
    body = report(call_id)
    head = ("POST /vapi HTTP/1.1", "Host: x", f"X-Vapi-Secret: {SECRET}", f"Content-Length: {len(body)}", *lines, *more)
    return ("\r\n".join(head) + "\r\n\r\n").encode(), body


def accepted(call_id: str) -> bytes:
    return b'{"result":"accepted","call_id":"%s"}' % call_id.encode()


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
def test_an_offer_of_another_protocol_is_not_taken_up(offer: tuple[str, ...], webhook: Webhook, call_id: str) -> None:
    answer = answer_of(sent_by_hand(webhook.address, b"".join(request(call_id, *offer))))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(accepted(call_id))


@pytest.mark.parametrize("cut", [1, 20, 90, -1, -30])
def test_it_may_come_in_pieces(cut: int, webhook: Webhook, call_id: str) -> None:
    head, body = request(call_id, *OFFERS["curl --http2"])
    whole = head + body
    answer = answer_of(sent_by_hand(webhook.address, whole[:cut], whole[cut:]))
    assert answer.endswith(accepted(call_id))


def test_every_cut_of_a_request_is_read(webhook: Webhook) -> None:
    for start in range(0, 330, 13):
        call_id = next(ids)
        head, body = request(call_id, *OFFERS["Java's HttpClient"])
        pieces = [(head + body)[a:b] for a, b in pairwise([0, start, start + 1, None])]
        assert answer_of(sent_by_hand(webhook.address, *filter(None, pieces))).endswith(accepted(call_id))


def test_it_may_come_in_chunks(webhook: Webhook, call_id: str) -> None:
    body = report(call_id)
    head = f"POST /vapi HTTP/1.1\r\nHost: x\r\nX-Vapi-Secret: {SECRET}\r\nTransfer-Encoding: chunked\r\n"
    offer = "Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n\r\n"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:9], body[9:])) + b"0\r\n\r\n"
    assert answer_of(sent_by_hand(webhook.address, (head + offer).encode(), chunks)).endswith(accepted(call_id))


def test_a_client_that_waits_for_continue_is_told_to_go_on(webhook: Webhook, call_id: str) -> None:
    head, body = request(call_id, *OFFERS["curl --http2"], "Expect: 100-continue")
    connection = sent_by_hand(webhook.address, head)
    heard(connection, until=b"HTTP/1.1 100 Continue\r\n\r\n")
    connection.sendall(body)
    assert answer_of(connection).endswith(accepted(call_id))


def test_the_connection_goes_on_in_http_1_1(webhook: Webhook) -> None:
    first, second, third = next(ids), next(ids), next(ids)
    connection = sent_by_hand(webhook.address, b"".join(request(first, *OFFERS["curl --http2"], more=())))
    heard(connection, until=accepted(first))
    # Two at once, the second one behind the first.
    together = request(second, *OFFERS["a WebSocket"], more=()) + request(third, *OFFERS["curl --http2"])
    connection.sendall(b"".join(together))
    answers = answer_of(connection)
    assert accepted(second) in answers
    assert answers.endswith(accepted(third))


def test_a_get_that_asks_for_a_websocket_is_answered_in_http(webhook: Webhook) -> None:
    head = b"GET /vapi HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n"
    assert answer_of(sent_by_hand(webhook.address, head)).startswith(b"HTTP/1.1 405 ")


def test_a_stranger_who_makes_an_offer_stays_one(webhook: Webhook, call_id: str) -> None:
    head, body = request(call_id, *OFFERS["curl --http2"])
    answer = answer_of(sent_by_hand(webhook.address, head.replace(SECRET.encode(), b"wrong"), body))
    assert answer.startswith(b"HTTP/1.1 401 ")


def test_connect_is_refused(webhook: Webhook) -> None:
    assert b" 400 " in answer_of(sent_by_hand(webhook.address, b"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n"))[:20]


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Type: application/json", "Content-Type: text/plain"),
        ("X-Vapi-Secret: wrong",),
        ("Content-Encoding: identity", "Content-Encoding: "),
        ("Expect: nothing",),
    ],
)
def test_headers_may_come_twice(lines: tuple[str, ...], webhook: Webhook, call_id: str) -> None:
    answer = answer_of(sent_by_hand(webhook.address, b"".join(request(call_id, *lines))))
    assert answer.endswith(accepted(call_id))


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl_with_http2_is_answered(webhook: Webhook, call_id: str) -> None:
    command = ["curl", "-sS", "--http2", "-H", f"X-Vapi-Secret: {SECRET}", "--data-binary", "@-", webhook.url]
    ended = subprocess.run(command, check=False, input=report(call_id), capture_output=True, timeout=30)
    assert ended.stdout == accepted(call_id), ended.stderr

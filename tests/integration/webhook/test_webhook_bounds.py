"""What a sender can make the webhook hold, and for how long: every bound from both sides."""

import contextlib
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from webhook_process import (
    MOST_BYTES,
    SECRET,
    Valkey,
    Webhook,
    answer_of,
    eventually,
    heard,
    report,
    sent_by_hand,
    start,
)

from roark_ledger.ledger import Ledger
from roark_ledger.moves import watch


class TestBounds:
    def test_a_body_that_is_announced_as_too_large_is_refused_unread(self, webhook: Webhook) -> None:
        head = f"POST /vapi HTTP/1.1\r\nHost: x\r\nX-Vapi-Secret: {SECRET}\r\nContent-Length: {MOST_BYTES + 1}\r\n\r\n"
        with sent_by_hand(webhook.address, head.encode()) as connection:
            assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")

    def test_a_body_that_turns_out_too_large_is_refused(self, webhook: Webhook) -> None:
        answer = webhook.post(b"x" * 10_000 for _ in range(100))
        assert (answer.status_code, answer.json()) == (413, {"error": "too-large", "most_bytes": MOST_BYTES})

    def test_the_largest_body_is_taken(self, webhook: Webhook, call_id: str) -> None:
        body = report(call_id, summary="")
        body = body.replace(b'"summary": ""', b'"summary": "' + b"x" * (MOST_BYTES - len(body)) + b'"')
        assert len(body) == MOST_BYTES
        assert webhook.post(body).status_code == 200

    def test_a_body_that_comes_too_slowly_is_given_up(self, webhook: Webhook) -> None:
        head = f"POST /vapi HTTP/1.1\r\nHost: x\r\nX-Vapi-Secret: {SECRET}\r\nContent-Length: 100\r\n\r\n{{"
        answer = answer_of(sent_by_hand(webhook.address, head.encode()))
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert answer.endswith(b'{"error":"too-slow"}')

    def test_a_sender_who_hangs_up_leaves_nothing_behind(self, webhook: Webhook, ledger: Ledger, call_id: str) -> None:
        name = 'roark_ingest_webhook_requests_total{result="hung-up"}'
        before, body = webhook.metric(name), report(call_id)
        head = f"POST /vapi HTTP/1.1\r\nHost: x\r\nX-Vapi-Secret: {SECRET}\r\nContent-Length: {len(body)}\r\n\r\n"
        sent_by_hand(webhook.address, head.encode(), body[:-1]).close()
        eventually(lambda: webhook.metric(name) == before + 1)
        assert ledger.run(watch.look(call_id)) is None

    def test_a_sender_who_hangs_up_with_several_requests_under_way_is_no_failure_of_ours(
        self, webhook: Webhook, ledger: Ledger, call_id: str
    ) -> None:
        accepted, failed = (
            f'roark_ingest_webhook_requests_total{{result="{word}"}}' for word in ("accepted", "failed")
        )
        before = webhook.metric(accepted)
        for number in range(5):
            requests = b""
            for place in range(6):
                body = report(f"{call_id}-{number}-{place}")
                head = (
                    f"POST /vapi HTTP/1.1\r\nHost: x\r\nX-Vapi-Secret: {SECRET}\r\nContent-Length: {len(body)}\r\n\r\n"
                )
                requests += head.encode() + body
            sent_by_hand(webhook.address, requests).close()
        eventually(lambda: webhook.metric(accepted) >= before + 5)
        assert webhook.metric(failed) == 0
        assert "request_failed" not in webhook.logged()

    @pytest.mark.parametrize(
        "head",
        [
            b"POST /vapi HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 70_000 + b"\r\n\r\n",
            b"POST /vapi HTTP/1.1\r\nHost: x\r\n" + b"X-Many: yes\r\n" * 10_000 + b"\r\n",
            b"POST /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        ],
    )
    def test_a_head_of_any_size_is_refused(self, head: bytes, webhook: Webhook) -> None:
        assert answer_of(sent_by_hand(webhook.address, head)).startswith(b"HTTP/1.1 431 ")

    def test_a_head_without_end_is_refused(self, webhook: Webhook) -> None:
        endless = (b"GET / HTTP/1.1\r\nX-Endless: ", *[b"x" * 10_000] * 2000)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            sent_by_hand(webhook.address, *endless)

    def test_senders_who_say_nothing_or_little_are_hung_up_on(self, webhook: Webhook) -> None:
        silent = sent_by_hand(webhook.address)
        stuck = sent_by_hand(webhook.address, b"POST /vapi HTTP/1.1\r\nHost:")
        refused = sent_by_hand(webhook.address, b"POST /vapi HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        blank = sent_by_hand(webhook.address, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        heard(blank, until=b'"alive"}')
        blank.sendall(b"\r\n")
        assert answer_of(silent) == answer_of(stuck) == answer_of(blank) == b""
        assert answer_of(refused).startswith(b"HTTP/1.1 401 ")

    @pytest.mark.parametrize(
        "rubbish", [b"\x16\x03\x01\x02\x00\x01\x00\x01", b"HELO x\r\n\r\n", b"GET  HTTP/1.1\r\n\r\n"]
    )
    def test_what_is_not_http_is_refused(self, rubbish: bytes, webhook: Webhook) -> None:
        assert answer_of(sent_by_hand(webhook.address, rubbish)).startswith(b"HTTP/1.1 400 ")


@contextlib.contextmanager
def files_for(connections: int) -> Iterator[None]:
    """Let this process open so many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < connections + 200:
        pytest.skip(f"this machine allows {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, connections + 200), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_idle_and_slow_connections_take_no_place_of_an_honest_report(valkey: Valkey, tmp_path: Path) -> None:
    # given a webhook that may open 600 files, and connections that say nothing, little, or something once
    said = (b"", b"POST /vapi HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    slowest = 0.0
    with (
        files_for(2000),
        contextlib.ExitStack() as opened,
        start(tmp_path, valkey.url, files=600, webhook_body_seconds=15) as webhook,
    ):
        for number in range(2000):
            opened.enter_context(sent_by_hand(webhook.address, said[number % 3]))
            if number % 100 == 99:
                # when an honest report comes, on a connection of its own
                began, headers = time.monotonic(), {"X-Vapi-Secret": SECRET}
                answer = httpx.post(webhook.url, content=report(f"crowded-{number}"), headers=headers, timeout=60)
                slowest = max(slowest, time.monotonic() - began)
                assert answer.status_code == 200
        # then it is answered, and it is told that others had to leave
        assert slowest < 5
        eventually(lambda: "connections_crowded" in webhook.logged())
        assert "Too many open files" not in webhook.logged()

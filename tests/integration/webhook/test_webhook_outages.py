"""The webhook while Redis is away, frozen, full or not what was promised, and when it is told to end."""

import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from webhook_process import (
    SECRET,
    Valkey,
    answer_of,
    eventually,
    heard,
    launched,
    post_until_refused,
    posted_together,
    report,
    sent_by_hand,
    start,
    states,
)

from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import watch
from roark_ledger.server.connection import connect

# httpcore leaves the socket of a server that hung up in the middle of an answer to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


class TestRedisAway:
    def test_without_redis_the_sender_hears_soon_that_it_should_send_again(
        self, own_valkey: Valkey, tmp_path: Path
    ) -> None:
        own_valkey.start()
        with start(tmp_path, own_valkey.url) as webhook, connect(own_valkey.url) as client:
            assert webhook.post(report("call-1")).status_code == 200
            own_valkey.stop()
            began = time.monotonic()
            with ThreadPoolExecutor(2) as pool:
                answers = list(pool.map(webhook.post, [report("call-2"), b"not json"]))
            assert time.monotonic() - began < 5
            assert [answer.status_code for answer in answers] == [503, 503]
            assert [answer.headers["retry-after"] for answer in answers] == ["5", "5"]
            assert webhook.get("/healthz").status_code == 200
            assert webhook.get("/readyz").status_code == 503
            own_valkey.start()
            assert webhook.post(report("call-2")).json()["result"] == "accepted"
            assert webhook.get("/readyz").status_code == 200
            assert states(Ledger(client))[State.READY] == 2

    def test_a_frozen_redis_does_not_make_anybody_hang(self, own_valkey: Valkey, tmp_path: Path) -> None:
        own_valkey.start()
        with start(tmp_path, own_valkey.url, webhook_body_seconds=20) as webhook:
            webhook.post(report("call-1"))
            with own_valkey.frozen():
                began = time.monotonic()
                statuses = posted_together(webhook, [report(f"call-{number}") for number in range(100)])
                took = time.monotonic() - began
            assert set(statuses) == {503}
            assert took < 7
            eventually(lambda: webhook.post(report("call-after")).status_code == 200)

    def test_a_short_outage_is_bridged(self, own_valkey: Valkey, tmp_path: Path) -> None:
        own_valkey.start()
        with start(tmp_path, own_valkey.url) as webhook, ThreadPoolExecutor(1) as pool:
            webhook.post(report("call-1"))
            own_valkey.stop()
            waiting = pool.submit(webhook.post, report("call-2"))
            own_valkey.start()
            assert waiting.result().json()["result"] == "accepted"

    def test_it_starts_without_redis_and_checks_the_promise_before_the_first_yes(
        self, own_valkey: Valkey, tmp_path: Path
    ) -> None:
        with start(tmp_path, own_valkey.url) as webhook:
            assert "promise_unchecked" in webhook.logged()
            assert webhook.post(report("call-1")).status_code == 503
            own_valkey.start(appendonly="no")
            assert webhook.post(report("call-1")).status_code == 503
            assert "append-only file" in webhook.get("/readyz").json()["reason"]
            with connect(own_valkey.url) as client:
                assert states(Ledger(client))[State.READY] == 0
                client.config_set("appendonly", "yes")
            assert webhook.post(report("call-1")).json()["result"] == "accepted"
            assert "promise_broken" in webhook.logged()
            assert "promise_kept" in webhook.logged()

    def test_a_promise_that_is_broken_at_run_time_ends_the_yes(self, own_valkey: Valkey, tmp_path: Path) -> None:
        own_valkey.start()
        with start(tmp_path, own_valkey.url) as webhook, connect(own_valkey.url) as client:
            client.config_set("maxmemory-policy", "allkeys-lru")
            eventually(lambda: webhook.get("/readyz").status_code == 503)
            assert webhook.post(report("call-1")).status_code == 503

    def test_a_server_that_cannot_keep_the_promise_ends_the_start(self, own_valkey: Valkey, tmp_path: Path) -> None:
        own_valkey.start(appendonly="no")
        process = launched(tmp_path, own_valkey.url)
        printed, _ = process.communicate(timeout=20)
        assert process.returncode != 0
        assert "listening" not in printed
        assert "CONFIG SET appendonly yes" in (tmp_path / "webhook.log").read_text()

    def test_waitaof_keeps_the_promise_where_the_server_syncs_once_a_second(
        self, own_valkey: Valkey, tmp_path: Path
    ) -> None:
        own_valkey.start(appendfsync="everysec")
        with start(tmp_path, own_valkey.url, webhook_body_seconds=20) as webhook, connect(own_valkey.url) as client:
            assert posted_together(webhook, [report(f"call-{number}") for number in range(200)]) == [200] * 200
            assert client.info("commandstats")["cmdstat_waitaof"]["calls"] > 0

    def test_a_full_redis_is_told_apart(self, own_valkey: Valkey, tmp_path: Path) -> None:
        own_valkey.start()
        with start(tmp_path, own_valkey.url) as webhook, connect(own_valkey.url) as client:
            client.config_set("maxmemory", 1)
            answer = webhook.post(report("call-1"))
            assert (answer.status_code, answer.json()["reason"]) == (503, "ledger-full")
            assert answer.headers["retry-after"] == "5"
            client.config_set("maxmemory", 0)
            assert webhook.post(report("call-1")).json()["result"] == "accepted"

    def test_a_damaged_record_does_not_keep_out_its_neighbours(self, own_valkey: Valkey, tmp_path: Path) -> None:
        own_valkey.start()
        with start(tmp_path, own_valkey.url, webhook_body_seconds=20) as webhook, connect(own_valkey.url) as client:
            client.hset(Ledger(client).calls.keys.records, "call-7", "damaged")
            statuses = posted_together(webhook, [report(f"call-{number}") for number in range(20)])
        assert statuses == [200] * 7 + [503] + [200] * 12

    def test_a_broker_that_is_away_slows_nobody_down(self, valkey: Valkey, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            broker = f"redis://127.0.0.1:{deaf.getsockname()[1]}"
            with start(tmp_path, valkey.url, broker_url=broker, prefix="other", reports_per_wakeup=1) as webhook:
                began = time.monotonic()
                assert {webhook.post(report(f"call-{number}")).status_code for number in range(20)} == {200}
                assert time.monotonic() - began < 1.9
                eventually(lambda: "broker_away" in webhook.logged())


class TestTheEnd:
    @pytest.mark.parametrize("told_by", [signal.SIGTERM, signal.SIGHUP])
    def test_nothing_that_was_answered_with_yes_is_lost_when_it_ends_under_load(
        self, own_valkey: Valkey, tmp_path: Path, told_by: signal.Signals
    ) -> None:
        own_valkey.start()
        answered: list[str] = []
        with start(tmp_path, own_valkey.url) as webhook, connect(own_valkey.url) as client:
            with ThreadPoolExecutor(16) as pool:
                posting = [pool.submit(post_until_refused, webhook, f"load-{each}", answered) for each in range(16)]
                eventually(lambda: len(answered) > 200)
                began = time.monotonic()
                status = webhook.end(told_by)
                took = time.monotonic() - began
                others = {each.result() for each in posting}
            assert status == 0
            assert took < 8
            assert others <= {"connection", "503"}
            ledger = Ledger(client)
            assert [call_id for call_id in answered if ledger.run(watch.look(call_id)) is None] == []
            assert states(ledger)[State.READY] >= len(answered) > 200

    def test_a_request_that_takes_too_long_to_end_is_answered_before_it_ends(
        self, own_valkey: Valkey, tmp_path: Path
    ) -> None:
        own_valkey.start()
        with start(tmp_path, own_valkey.url, webhook_body_seconds=60) as webhook:
            head = f"POST /vapi HTTP/1.1\r\nHost: x\r\nX-Vapi-Secret: {SECRET}\r\nContent-Length: 9\r\n"
            connection = sent_by_hand(webhook.address, head.encode(), b"Expect: 100-continue\r\n\r\n{")
            # The webhook waits for the rest of the body: before that the system alone knows the connection.
            heard(connection, until=b"100 Continue\r\n\r\n")
            began = time.monotonic()
            assert webhook.end() == 0
            assert time.monotonic() - began < 10
            assert answer_of(connection).startswith(b"HTTP/1.1 503 ")

"""The webhook while the ledger cannot take reports: they wait on this machine's disk, and reach it in order."""

import contextlib
import gzip
import itertools
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from webhook_process import SECRET, Valkey, Webhook, eventually, posted_together, report, start, states

from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import desk, watch
from roark_ledger.packing import unpack
from roark_ledger.server.connection import connect
from roark_producer.disk.segments import pending, pending_in

# httpcore leaves the socket of a server that hung up in the middle of an answer to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

SPOOLING = {"spool": "true", "webhook_body_seconds": 20}
IN_ORDER = 60


@pytest.fixture
def started_valkey(own_valkey: Valkey) -> Valkey:
    own_valkey.start()
    return own_valkey


@pytest.fixture
def webhook(started_valkey: Valkey, tmp_path: Path) -> Iterator[Webhook]:
    with start(tmp_path, started_valkey.url, **SPOOLING) as running:
        yield running


@pytest.fixture
def ledger(started_valkey: Valkey) -> Iterator[Ledger]:
    with connect(started_valkey.url) as client:
        yield Ledger(client)


def folder(tmp_path: Path) -> Path:
    return tmp_path / ".roark-ingest" / "spool"


def drained(webhook: Webhook, tmp_path: Path) -> None:
    """Wait until nothing waits any more and reports go straight to the ledger."""
    eventually(lambda: pending(folder(tmp_path)).reports == 0, 30)
    numbers = itertools.count()
    eventually(
        lambda: webhook.post(report(f"after-{webhook.process.pid}-{next(numbers)}")).json()["result"] == "accepted", 30
    )


def results(webhook: Webhook, *call_ids: str, **more: Any) -> list[str]:
    return [webhook.post(report(call_id, **more)).json()["result"] for call_id in call_ids]


def test_what_comes_while_redis_is_away_is_kept_and_handed_in_in_order(
    webhook: Webhook, started_valkey: Valkey, ledger: Ledger, tmp_path: Path
) -> None:
    assert results(webhook, "before") == ["accepted"]
    started_valkey.stop()

    began = time.monotonic()
    assert set(results(webhook, *(f"call-{number:02}" for number in range(IN_ORDER)))) == {"spooled"}
    assert time.monotonic() - began < 20, "only the first one waits for the ledger"
    assert webhook.post(b"not json").status_code == 422
    assert pending(folder(tmp_path)).reports == IN_ORDER + 1
    assert webhook.metric("roark_ingest_webhook_spool_reports") == IN_ORDER + 1
    ready = webhook.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "spooling")

    started_valkey.start()
    drained(webhook, tmp_path)
    queued = ledger.client.zrange(ledger.calls.keys.fresh, 0, -1)
    assert [call_id for call_id in queued if call_id.startswith(b"call-")] == [
        b"call-%02d" % number for number in range(IN_ORDER)
    ]
    assert ledger.run(watch.snapshot()).rejected_kept == 1
    assert webhook.metric("roark_ingest_webhook_spool_reports") == 0


def test_what_comes_while_redis_is_full_is_kept_and_handed_in_when_there_is_room(
    webhook: Webhook, ledger: Ledger, tmp_path: Path
) -> None:
    ledger.client.config_set("maxmemory", 1)
    eventually(lambda: results(webhook, "call-1") == ["spooled"])
    assert posted_together(webhook, [report(f"more-{number}") for number in range(20)]) == [200] * 20

    ledger.client.config_set("maxmemory", 0)
    drained(webhook, tmp_path)

    assert ledger.run(watch.look("call-1"))
    assert all(ledger.run(watch.look(f"more-{number}")) for number in range(20))


def test_a_frozen_redis_costs_the_first_sender_seconds_and_nobody_the_report(
    webhook: Webhook, started_valkey: Valkey, ledger: Ledger, tmp_path: Path
) -> None:
    with started_valkey.frozen():
        began = time.monotonic()
        assert posted_together(webhook, [report(f"call-{number}") for number in range(100)]) == [200] * 100
        assert time.monotonic() - began < 9
        began = time.monotonic()
        assert results(webhook, "later") == ["spooled"]
        assert time.monotonic() - began < 3
    drained(webhook, tmp_path)

    assert all(ledger.run(watch.look(f"call-{number}")) for number in range(100))


def test_a_newer_report_of_the_same_call_stays_the_newer_one(
    webhook: Webhook, started_valkey: Valkey, ledger: Ledger, tmp_path: Path
) -> None:
    assert results(webhook, "call-1", endedReason="preliminary") == ["accepted"]
    started_valkey.stop()
    assert results(webhook, "call-1", endedReason="full") == ["spooled"]
    assert results(webhook, "call-2", endedReason="preliminary") == ["spooled"]
    started_valkey.start()
    # These may come before, while or after the earlier ones are handed in.
    newest = [f"newer-{number}" for number in range(30)]
    for reason in newest:
        assert webhook.post(report("call-2", endedReason=reason)).status_code == 200
    drained(webhook, tmp_path)

    kept = {call_id: ledger.run(watch.look(call_id)) for call_id in ("call-1", "call-2")}
    assert kept["call-1"]
    assert b'"full"' in unpack(kept["call-1"].packed).payload
    assert kept["call-2"]
    assert b'"newer-29"' in unpack(kept["call-2"].packed).payload


def test_a_full_spool_refuses_what_it_cannot_keep_and_nothing_else(
    started_valkey: Valkey, ledger: Ledger, tmp_path: Path
) -> None:
    long = "".join(f"{number:x}" for number in range(20_000))
    with start(tmp_path, started_valkey.url, spool_max_bytes=1_000_000, **SPOOLING) as webhook:
        started_valkey.stop()
        answers = [webhook.post(report(f"call-{number}", transcript=long[number:])) for number in range(60)]
        refused = [answer for answer in answers if answer.status_code == 503]
        assert refused
        assert {answer.json()["reason"] for answer in refused} == {"spool-full"}
        assert {answer.headers["retry-after"] for answer in refused} == {"5"}
        kept = [f"call-{number}" for number, answer in enumerate(answers) if answer.status_code == 200]
        assert len(kept) + len(refused) == 60
        assert pending(folder(tmp_path)).bytes <= 1_000_000

        started_valkey.start()
        drained(webhook, tmp_path)
        assert all(ledger.run(watch.look(call_id)) for call_id in kept)


def test_what_a_killed_webhook_left_is_handed_in_by_the_next_one(
    started_valkey: Valkey, ledger: Ledger, tmp_path: Path
) -> None:
    answered: list[str] = []

    def post(each: int, url: str) -> None:
        with contextlib.suppress(httpx.TransportError), httpx.Client(timeout=20) as client:
            for number in itertools.count():
                call_id = f"load-{each}-{number}"
                if client.post(url, content=report(call_id), headers={"X-Vapi-Secret": SECRET}).status_code == 200:
                    answered.append(call_id)

    started_valkey.stop()
    with start(tmp_path, started_valkey.url, **SPOOLING) as webhook, ThreadPoolExecutor(8) as pool:
        for each in range(8):
            pool.submit(post, each, webhook.url)
        eventually(lambda: len(answered) > 100, 30)
        webhook.end(signal.SIGKILL)
    assert len(answered) > 100

    with start(tmp_path, started_valkey.url, **SPOOLING) as webhook:
        started_valkey.start()
        drained(webhook, tmp_path)

    assert [call_id for call_id in answered if ledger.run(watch.look(call_id)) is None] == []


def test_under_load_reports_go_straight_to_the_ledger_again(
    webhook: Webhook, started_valkey: Valkey, ledger: Ledger, tmp_path: Path
) -> None:
    enough = threading.Event()
    heard: list[tuple[int, str]] = []

    def post(each: int) -> None:
        with httpx.Client(timeout=20, headers={"X-Vapi-Secret": SECRET}) as client:
            for number in itertools.count():
                answer = client.post(webhook.url, content=report(f"load-{each}-{number}"))
                heard.append((answer.status_code, answer.json()["result"]))
                if enough.is_set():
                    return

    started_valkey.stop()
    with ThreadPoolExecutor(8) as pool:
        for each in range(8):
            pool.submit(post, each)
        try:
            eventually(lambda: len(heard) > 50, 20)
            started_valkey.start()
            eventually(lambda: (200, "accepted") in heard[-8:], 30)
        finally:
            enough.set()

    assert {status for status, _ in heard} == {200}
    drained(webhook, tmp_path)
    assert states(ledger)[State.READY] >= len(heard)


def test_a_damaged_record_does_not_keep_the_rest_waiting(
    webhook: Webhook, started_valkey: Valkey, ledger: Ledger, tmp_path: Path
) -> None:
    ledger.client.hset(ledger.calls.keys.records, "call-3", "damaged")
    started_valkey.stop()
    assert results(webhook, *(f"call-{number}" for number in range(6))) == ["spooled"] * 6
    started_valkey.start()
    drained(webhook, tmp_path)

    snapshot = ledger.run(watch.snapshot())
    assert [number for number in range(6) if number != 3 and not ledger.run(watch.look(f"call-{number}"))] == []
    assert snapshot.rejected_kept == 0
    (aside,) = folder(tmp_path).glob("*.refused")
    assert pending_in(aside) == 1
    eventually(lambda: ledger.run(watch.snapshot()).unread)
    assert "1 report" in webhook.get("/readyz").json()["reason"]


def test_what_was_set_aside_is_taken_once_it_can_be(started_valkey: Valkey, ledger: Ledger, tmp_path: Path) -> None:
    ledger.client.hset(ledger.calls.keys.records, "call-3", "damaged")
    with start(tmp_path, started_valkey.url, **SPOOLING) as webhook:
        assert results(webhook, "call-3") == ["spooled"]
        eventually(lambda: list(folder(tmp_path).glob("*.refused")))
        ledger.client.hdel(ledger.calls.keys.records, "call-3")
    with start(tmp_path, started_valkey.url, **SPOOLING) as webhook:
        eventually(lambda: ledger.run(watch.look("call-3")))
        eventually(lambda: not ledger.run(watch.snapshot()).unread)
        eventually(lambda: webhook.get("/readyz").json() == {"status": "ready"})


def test_without_a_spool_the_sender_hears_soon_that_it_should_send_again(
    started_valkey: Valkey, tmp_path: Path
) -> None:
    with start(tmp_path, started_valkey.url, spool="off") as webhook:
        started_valkey.stop()
        began = time.monotonic()
        assert webhook.post(report("call-1")).status_code == 503
        assert time.monotonic() - began < 5
    assert not folder(tmp_path).exists()


def test_a_disk_that_cannot_be_written_is_answered_with_503(started_valkey: Valkey, tmp_path: Path) -> None:
    (tmp_path / ".roark-ingest").write_text("in the way")
    with start(tmp_path, started_valkey.url, **SPOOLING) as webhook:
        assert results(webhook, "call-1") == ["accepted"]
        started_valkey.stop()
        answer = webhook.post(report("call-2"))
        assert (answer.status_code, answer.json()["reason"]) == (503, "spool-full")
        started_valkey.start()
        eventually(lambda: webhook.post(report("call-2")).status_code == 200)


def test_what_was_erased_while_it_waited_here_is_refused_when_it_is_handed_in(
    webhook: Webhook, started_valkey: Valkey, ledger: Ledger, tmp_path: Path
) -> None:
    assert results(webhook, "before") == ["accepted"]
    started_valkey.stop()
    assert results(webhook, "erased-1", "kept-1") == ["spooled"] * 2

    # The file stands in no webhook's way while the call is erased.
    webhook.end(signal.SIGKILL)
    started_valkey.start()
    ledger.run(desk.erase("erased-1", key=b"key", who=b"{}"))
    with start(tmp_path, started_valkey.url, **SPOOLING) as again:
        drained(again, tmp_path)

    found = ledger.run(watch.look("erased-1"))
    assert found
    assert found.record is None
    assert ledger.run(watch.look("kept-1"))
    assert ledger.run(watch.snapshot()).total("refused_erased") == 1


def test_several_messages_and_packed_ones_wait_on_disk_one_by_one(
    webhook: Webhook, started_valkey: Valkey, ledger: Ledger, tmp_path: Path
) -> None:
    started_valkey.stop()
    broken = b'{"type":"end-of-call-report"}'
    answer = webhook.post(b"[" + report("several-1") + b"," + broken + b"," + report("several-2") + b"]")
    assert [one["result"] for one in answer.json()["results"]] == ["spooled", "rejected", "spooled"]
    packed = webhook.post(gzip.compress(report("several-3", wrap=False)), Content_Encoding="gzip")
    assert packed.json()["result"] == "spooled"
    started_valkey.start()
    drained(webhook, tmp_path)
    for call_id in ("several-1", "several-2", "several-3"):
        entry = ledger.run(watch.look(call_id))
        assert entry
        assert unpack(entry.packed).payload == report(call_id, wrap=False)
    assert ledger.run(watch.snapshot()).rejected_kept == 1

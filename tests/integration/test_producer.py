"""The Producer on a real server: from a Python program's report to the ledger and the broker's wake-up."""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from typing import Any

import msgspec
import pytest
import redis
from pydantic import SecretStr
from servers import Server, configured

from roark_ledger.lifecycle import State
from roark_ledger.moves import delivery, desk, watch
from roark_ledger.moves.delivery import Claimed
from roark_ledger.packing import unpack
from roark_ledger.records.snapshot import Snapshot
from roark_ledger.server.connection import connect
from roark_producer import (
    BrokenPromise,
    ConfigurationError,
    InvalidProperties,
    InvalidReport,
    LedgerFull,
    LedgerUnavailable,
    Producer,
    ProducerClosed,
    Receipt,
    Result,
)
from roark_producer.celery_wiring import celery_app, celery_settings
from roark_producer.settings import IngestSettings
from roark_producer.taking import Intake
from roark_producer.wake_ups import DELIVER_TASK, QUEUE, WakeUps


def report(call_id: str = "call-1", **more: Any) -> dict[str, Any]:
    return {"type": "end-of-call-report", "call": {"id": call_id}, "transcript": "AI: Hello"} | more


def body(call_id: str = "call-1", **more: Any) -> bytes:
    return json.dumps({"message": report(call_id, **more)}).encode()


@pytest.fixture
def settings(valkey: Server, prefix: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> IngestSettings:
    monkeypatch.chdir(tmp_path)
    return IngestSettings(redis_url=SecretStr(valkey.url), prefix=prefix)


@pytest.fixture
def client(valkey: Server) -> Iterator["redis.Redis"]:
    """A look past the producer; without wake-ups of other tests."""
    with connect(valkey.url) as client:
        client.delete(QUEUE)
        yield client


@pytest.fixture
def producer(settings: IngestSettings, client: "redis.Redis") -> Iterator[Producer]:
    with Producer.from_settings(settings) as producer:
        yield producer


def wake_ups(client: "redis.Redis") -> list[bytes]:
    """The messages that wait on the broker's list."""
    found: list[Any] = client.lrange(QUEUE, 0, -1)
    return found


def snapshot(producer: Producer) -> Snapshot:
    return producer.ledger.run(watch.snapshot())


def claimed(producer: Producer, wanted: int = 100) -> dict[str, Claimed]:
    claim = producer.ledger.run(delivery.claim(wanted=wanted, lease_ms=60_000, listen_ms=0, most_bytes=10**9))
    return {one.call_id: one for one in claim.reports}


class TestSubmit:
    def test_a_report_is_accepted_and_its_bytes_are_in_the_ledger(self, producer: Producer) -> None:
        inner = b'{"type":"end-of-call-report" , "call":{"id":"call-1"},"n":9007199254740993,"t":"\\u00e9\\ud800"}'

        receipt = producer.submit(b'{"message": ' + inner + b" }")

        assert receipt == Receipt("call-1", Result.ACCEPTED)
        assert unpack(claimed(producer)["call-1"].packed).payload == inner

    @pytest.mark.parametrize(
        "form",
        [body(), body().decode(), json.loads(body()), report(), json.dumps(report())],
        ids=["bytes", "text", "wrapped dict", "bare dict", "bare text"],
    )
    def test_it_may_be_bytes_a_text_or_a_dict_wrapped_or_bare(self, producer: Producer, form: Any) -> None:
        assert producer.submit(form) == Receipt("call-1", Result.ACCEPTED)

    def test_a_dicts_large_numbers_and_odd_texts_arrive(self, producer: Producer) -> None:
        odd = report(big=2**70, half="\ud800", line="\u2028", nested={"é": [1.5, None, True]})

        assert producer.submit(odd).result == "accepted"

        assert json.loads(unpack(claimed(producer)["call-1"].packed).payload) == odd

    def test_the_same_report_again_is_a_duplicate(self, producer: Producer) -> None:
        producer.submit(body())

        assert producer.submit(body()) == Receipt("call-1", Result.DUPLICATE)
        assert snapshot(producer).total("duplicates") == 1

    def test_so_it_is_from_another_producer_and_printed_another_way(
        self, producer: Producer, settings: IngestSettings
    ) -> None:
        producer.submit(body())

        with Producer.from_settings(settings) as other:
            assert other.submit(json.dumps(report(), indent=2)).result == "duplicate"

    def test_another_report_of_the_call_replaces_it(self, producer: Producer) -> None:
        producer.submit(body())

        assert producer.submit(body(transcript="AI: Goodbye")) == Receipt("call-1", Result.REPLACED)

    def test_an_erased_call_is_refused(self, producer: Producer) -> None:
        producer.ledger.run(desk.erase("call-1", key=b"key", who=b"{}"))

        assert producer.submit(body()) == Receipt("call-1", Result.ERASED)

    def test_a_message_of_another_type_is_counted_and_not_kept(self, producer: Producer) -> None:
        receipt = producer.submit({"message": {"type": "status-update", "call": {"id": "call-1"}}})

        assert receipt == Receipt(None, Result.IGNORED, "type is status-update")
        assert snapshot(producer).total("ignored") == 1
        assert snapshot(producer).total("accepted") == 0

    def test_properties_of_settings_report_and_caller_lie_beside_it(
        self, settings: IngestSettings, client: "redis.Redis"
    ) -> None:
        wanted = settings.model_copy(
            update={"properties": {"env": "test"}, "properties_from_report": {"tenant": "call.metadata.tenant"}}
        )
        with Producer.from_settings(wanted) as producer:
            producer.submit(report(call={"id": "call-1", "metadata": {"tenant": "t-1"}}), {"batch": 7})

            found = unpack(claimed(producer)["call-1"].packed).properties

        assert json.loads(found) == {"env": "test", "tenant": "t-1", "batch": 7}


class TestRejected:
    @pytest.mark.parametrize(
        ("unusable", "reason"),
        [
            (b"nonsense", "body: is not valid JSON: Expecting value (line 1, column 1)"),
            (body(""), "call.id: must be 1 to 200 printable ASCII characters without spaces"),
            (b'{"message":{"type":"end-of-call-report"}}', "call: is missing"),
            ("\ud800", "body: is not UTF-8 (byte 0)"),
        ],
    )
    def test_an_unusable_report_is_kept_and_the_receipt_says_why(
        self, producer: Producer, client: "redis.Redis", unusable: bytes | str, reason: str
    ) -> None:
        receipt = producer.submit(unusable)

        assert receipt == Receipt(None, Result.REJECTED, reason)
        rows: dict[Any, Any] = client.hgetall(producer.ledger.calls.keys.rejected)
        (row,) = rows.values()
        length, _, rest = row.partition(b" ")
        meta = msgspec.json.decode(rest[: int(length)])
        sent = unusable.encode("utf-8", "surrogatepass") if isinstance(unusable, str) else unusable
        assert f"{meta['field']}: {meta['problem']}" == reason
        assert (meta["source"], meta["bytes"]) == ("python", len(sent))
        assert unpack(rest[int(length) :]).payload == sent

    def test_it_is_kept_once_however_often_it_comes(self, producer: Producer) -> None:
        receipts = producer.submit_many([b"nonsense"] * 3)

        assert {receipt.result for receipt in receipts} == {"rejected"}
        assert snapshot(producer).total("rejected") == 3
        assert snapshot(producer).rejected_kept == 1

    def test_one_that_is_too_large_is_rejected(self, settings: IngestSettings) -> None:
        with Producer.from_settings(settings.model_copy(update={"max_report_bytes": 1_000})) as producer:
            receipt = producer.submit(body(transcript="x" * 1_000))

        assert receipt.result == "rejected"
        assert "ROARK_INGEST_MAX_REPORT_BYTES is 1000" in receipt.reason

    def test_an_unusable_one_does_not_touch_its_neighbours(self, producer: Producer) -> None:
        receipts = producer.submit_many([body("call-1"), b"nonsense", {"type": "hang"}, body("call-2")])

        assert [receipt.result for receipt in receipts] == ["accepted", "rejected", "ignored", "accepted"]
        assert sorted(claimed(producer)) == ["call-1", "call-2"]


class TestSubmitMany:
    def test_there_is_one_receipt_for_each_in_order(self, producer: Producer) -> None:
        ids = [f"call-{number}" for number in range(200)]

        receipts = producer.submit_many(body(call_id) for call_id in [*ids, "call-7"])

        assert [receipt.call_id for receipt in receipts] == [*ids, "call-7"]
        assert [receipt.result for receipt in receipts] == ["accepted"] * 200 + ["duplicate"]
        assert snapshot(producer).balanced

    def test_nothing_at_all_is_no_receipt(self, producer: Producer) -> None:
        assert producer.submit_many([]) == []

    def test_all_are_stored_when_it_returns_and_nobody_needs_the_receipts(self, producer: Producer) -> None:
        producer.submit_many(body(f"call-{number}") for number in range(130))

        assert snapshot(producer).states[State.READY] == 130

    def test_reports_are_taken_from_the_source_only_as_receipts_are_read(self, producer: Producer) -> None:
        taken = count()
        endless = (body(f"call-{number}") for number in taken)

        receipts = producer.submit_iter(endless)
        assert next(taken) == 0

        first = next(receipts)

        assert first.call_id == "call-1"
        assert next(taken) <= 100

    def test_few_large_reports_make_a_batch_as_many_small_ones_do(self, producer: Producer) -> None:
        taken = count()
        large = (body(f"call-{number}", transcript="x" * 900_000) for number in taken)

        next(producer.submit_iter(large))

        assert next(taken) <= 7

    def test_each_receipt_comes_when_its_report_is_stored(self, producer: Producer) -> None:
        for receipt in producer.submit_iter(body(f"call-{number}") for number in range(130)):
            assert producer.ledger.run(watch.look(receipt.call_id or "")) is not None


class TestMisuse:
    """It raises when it is called, before anything is submitted, and no report ends in the rejected bin for it."""

    @pytest.mark.parametrize(
        "properties",
        [
            {"Tenant": 1},
            {1: "a"},
            {"tenant": None},
            {"tenant": float("nan")},
            {"tenant": "\ud800"},
            {"tenant": {"nested": 1}},
            {f"p{number}": number for number in range(101)},
            ["tenant"],
        ],
        ids=["no snake case", "no text", "nothing", "nan", "half a pair", "nested", "too many", "a list"],
    )
    def test_bad_properties(self, producer: Producer, properties: Any) -> None:
        for submit in (producer.submit, lambda one, given: producer.submit_iter([one], given)):
            with pytest.raises(InvalidProperties, match=r"^properties"):
                submit(body(), properties)

        assert isinstance(InvalidProperties(""), ValueError)
        assert (snapshot(producer).total("rejected"), snapshot(producer).rejected_kept) == (0, 0)
        assert producer.submit(body(), {"tenant": "a"}).result == "accepted"

    def test_the_settings_properties_count(self, settings: IngestSettings) -> None:
        static = {f"s{number}": number for number in range(60)}
        with Producer.from_settings(settings.model_copy(update={"properties": static})) as producer:
            with pytest.raises(InvalidProperties, match="101 with those of the settings"):
                producer.submit(body(), {f"p{number}": number for number in range(41)})
            assert producer.submit(body(), {f"s{number}": number for number in range(60)}).result == "accepted"

    @pytest.mark.parametrize("thing", [None, 7, ["a"], {"a": object()}, {1: 2, (3,): 4}, object()])
    def test_what_is_no_report_and_cannot_be_written_as_one(self, producer: Producer, thing: Any) -> None:
        with pytest.raises(TypeError):
            producer.submit(thing)
        assert snapshot(producer).rejected_kept == 0

    @pytest.mark.parametrize("one", [body(), body().decode(), report()])
    def test_one_report_where_several_are_wanted(self, producer: Producer, one: Any) -> None:
        with pytest.raises(TypeError, match="`submit` takes one"):
            producer.submit_many(one)
        assert snapshot(producer).rejected_kept == 0

    def test_a_producer_that_is_closed(self, settings: IngestSettings) -> None:
        with Producer.from_settings(settings) as producer:
            begun = producer.submit_iter(body(f"call-{number}") for number in range(130))
            next(begun)
        producer.close()

        for use in (
            lambda: producer.submit(body()),
            lambda: producer.submit_many([]),
            lambda: producer.submit_iter([]),
            lambda: producer.backfill(body(), "test"),
            lambda: list(begun),
            producer.__enter__,
        ):
            with pytest.raises(ProducerClosed, match="create another one"):
                use()
        assert isinstance(ProducerClosed(""), RuntimeError)


class TestWakeUps:
    def test_a_wake_up_is_what_celery_itself_would_publish(self, valkey: Server, client: "redis.Redis") -> None:
        app = celery_app("theirs", set_as_current=False)
        app.conf.update(celery_settings(valkey.url))
        app.send_task(DELIVER_TASK, retry=False, ignore_result=True)
        app.close()
        WakeUps(valkey.url).publish()

        ours, theirs = map(json.loads, wake_ups(client))
        assert list(theirs) == ["body", "content-encoding", "content-type", "headers", "properties"]
        for found in (ours, theirs):
            task_id = found["headers"]["id"]
            assert (found["headers"].pop("root_id"), found["properties"].pop("correlation_id")) == (task_id, task_id)
            assert found["headers"].pop("origin").startswith(f"gen{os.getpid()}@")
            del found["headers"]["id"], found["properties"]["delivery_tag"], found["properties"]["reply_to"]
        assert ours == theirs

    def test_the_first_report_puts_a_wake_up_on_the_brokers_list(
        self, producer: Producer, client: "redis.Redis"
    ) -> None:
        producer.submit(body())

        (message,) = wake_ups(client)
        assert json.loads(message)["headers"]["task"] == DELIVER_TASK

    def test_it_carries_nothing_of_the_report(self, producer: Producer, client: "redis.Redis") -> None:
        producer.submit(body("call-secret"))

        assert b"call-secret" not in wake_ups(client)[0]

    def test_the_next_one_needs_none(self, producer: Producer, client: "redis.Redis") -> None:
        producer.submit(body("call-1"))
        producer.submit(body("call-2"))
        producer.submit(body("call-2"))

        assert len(wake_ups(client)) == 1

    def test_a_growing_backlog_wakes_more_workers(self, producer: Producer, client: "redis.Redis") -> None:
        producer.submit_many(body(f"call-{number}") for number in range(256))

        # One for the first batch, which also fills the first 64, one at 128 and one at 256.
        assert len(wake_ups(client)) == 3

    def test_what_is_not_accepted_wakes_nobody(self, producer: Producer, client: "redis.Redis") -> None:
        producer.submit_many([b"nonsense", {"type": "hang"}])

        assert wake_ups(client) == []

    def test_a_broker_that_is_away_costs_a_wake_up_and_not_the_report(
        self, settings: IngestSettings, client: "redis.Redis", tmp_path: Any
    ) -> None:
        nobody = SecretStr(f"unix://{tmp_path}/nobody.sock")

        with Producer.from_settings(settings.model_copy(update={"broker_url": nobody})) as producer:
            begun = time.monotonic()
            assert producer.submit(body()).result == "accepted"
            # The sender waits for its answer meanwhile.
            assert time.monotonic() - begun < 2
            assert snapshot(producer).states[State.READY] == 1
        assert wake_ups(client) == []

    def test_it_says_whether_the_broker_took_it(self, valkey: Server, client: "redis.Redis", tmp_path: Any) -> None:
        there, away = WakeUps(valkey.url), WakeUps(f"unix://{tmp_path}/nobody.sock")

        assert (there.publish(), away.publish()) == (True, False)

        there.close()
        away.close()


class TestFailures:
    def test_a_full_server_refuses_and_stores_nothing(self, producer: Producer, client: "redis.Redis") -> None:
        with configured(client, "maxmemory", "1mb"), pytest.raises(LedgerFull):
            producer.submit(body())

        assert snapshot(producer).total("accepted") == 0
        assert producer.submit(body()).result == "accepted"

    def test_a_server_that_is_away_is_told_at_the_start(self, settings: IngestSettings, tmp_path: Any) -> None:
        nobody = SecretStr(f"unix://{tmp_path}/nobody.sock")

        with pytest.raises(LedgerUnavailable):
            Producer.from_settings(settings.model_copy(update={"redis_url": nobody}))

    def test_a_promise_that_the_server_cannot_keep_is_told_at_the_start(self, settings: IngestSettings) -> None:
        with pytest.raises(BrokenPromise, match="has 0 replicas"):
            Producer.from_settings(settings.model_copy(update={"durability": "replicated:1"}))

    def test_without_any_server_it_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("ROARK_INGEST_REDIS_URL", raising=False)

        with pytest.raises(ConfigurationError, match="ROARK_INGEST_REDIS_URL is not set"):
            Producer.from_env()

    def test_from_the_environment_it_finds_its_server(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, valkey: Server, prefix: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("ROARK_INGEST_REDIS_URL", valkey.url)
        monkeypatch.setenv("ROARK_INGEST_PREFIX", prefix)

        with Producer.from_env() as producer:
            assert producer.submit(body()).result == "accepted"


def test_threads_share_a_producer(producer: Producer) -> None:
    results: list[str] = []

    def submit(start: int) -> None:
        results.extend(one.result for one in producer.submit_many(body(f"call-{n}") for n in range(start, start + 100)))

    threads = [threading.Thread(target=submit, args=(start,)) for start in (0, 50, 100, 150)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(results) == ["accepted"] * 250 + ["duplicate"] * 150
    assert snapshot(producer).balanced


def test_a_receipts_result_is_an_enumeration_that_compares_with_texts(producer: Producer) -> None:
    found = producer.submit(body()).result

    assert (found is Result.ACCEPTED, found == "accepted", f"{found}", json.dumps([found])) == (
        *(True, True),
        *("accepted", '["accepted"]'),
    )


def test_a_process_that_was_forked_uses_its_parents_producer(producer: Producer) -> None:
    """As gunicorn's workers do with `--preload`: all of them, at once, after the parent has used its connections."""
    producer.submit(body("parent"))
    children = []
    for child in range(4):
        pid = os.fork()
        if pid == 0:
            with suppress(BaseException):
                found = [producer.submit(body(f"child-{child}-{n}")) for n in range(50)]
                right = [one.call_id for one in found] == [f"child-{child}-{n}" for n in range(50)]
                producer.close()
                os._exit(0 if right and {one.result for one in found} == {"accepted"} else 1)
            os._exit(2)
        children.append(pid)
    mine = [producer.submit(body(f"parent-{n}")) for n in range(50)]

    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0] * 4
    assert [one.call_id for one in mine] == [f"parent-{n}" for n in range(50)]
    assert snapshot(producer).states[State.READY] == 251


def test_preparing_a_report_touches_no_server() -> None:
    intake = Intake(IngestSettings(_env_file=None))

    with pytest.raises(InvalidReport, match=r"^call: is missing$"):
        intake.prepare(b'{"type":"end-of-call-report"}')

"""Whoever can write to Redis may write anything: it costs the worker a line in its log, not its process."""

import json
from collections.abc import Iterator

import pytest
from pipeline import Pipeline, wait_until

from roark_ledger.lifecycle import State
from roark_ledger.server.connection import connect
from roark_producer.celery_wiring import celery_app, celery_settings
from roark_producer.wake_ups import DELIVER_TASK, QUEUE
from roark_samples import sample_reports

pytestmark = pytest.mark.acceptance

ENCODED = {"delivery_tag": "1", "body_encoding": "base64", "delivery_info": {}}
PICKLE = {
    "properties": ENCODED,
    "body": "gASVKgAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjA90b3VjaCAvdG1wL3B3bmVklIWUUpQu",
    "content-type": "application/x-python-serialize",
    "content-encoding": "binary",
    "headers": {},
}
GARBAGE = (
    *(b"", b"{", b"\xff\xfe", b"null", b"[]", b"{}", b'"text"', b"1", b"[" * 5000, b'{"properties":1}'),
    *(b'{"properties":{}}', b'{"properties":{"delivery_tag":1},"body":"!","headers":null}'),
    b'{"__type__":"nope","__value__":1}',
    json.dumps({"properties": ENCODED, "body": "%%%"}).encode(),
    json.dumps({"properties": ENCODED | {"body_encoding": "nope"}, "body": "x"}).encode(),
    json.dumps(PICKLE).encode(),
)


@pytest.fixture
def line() -> Iterator[Pipeline]:
    with Pipeline() as line:
        yield line


def test_garbage_costs_a_line_and_remote_control_answers_ping_and_stats_alone(line: Pipeline) -> None:
    line.start_sandbox()
    worker = line.start_worker()
    with connect(line.environment["ROARK_INGEST_REDIS_URL"]) as client:
        for garbage in GARBAGE:
            client.lpush(QUEUE, garbage)
            client.publish("/0.celery.pidbox", garbage)
        wait_until(lambda: client.llen(QUEUE) == 0, "the queue to be read")
    app = celery_app("stranger", set_as_current=False)
    app.conf.update(celery_settings(line.environment["ROARK_INGEST_REDIS_URL"]))
    control = app.control
    replies = {name: control.broadcast(name, reply=True, timeout=2) for name in ("ping", "stats", "conf", "report")}
    for name in ("shutdown", "pool_restart", "rate_limit", "cancel_consumer", "revoke", "autoscale", "time_limit"):
        control.broadcast(name, arguments={"queue": QUEUE, "task_id": "x", "task_name": DELIVER_TASK})
    app.close()
    line.submit([sample.body(wrap=True) for sample in sample_reports(5, odd=0, dup=0)])
    line.wait_for(State.DELIVERED, 5)

    told = {name for name, found in replies.items() if any(text for reply in found for text in reply.values())}
    assert told == {"ping", "stats"}
    assert worker.runs
    assert "no_message" in worker.log

"""Logs at debug level and Flower's pages, while everything goes wrong that quotes secrets.

What was planted (tokens, secrets, passwords in URLs, phone numbers, what callers said) must be in none of it.
"""

import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from flowers import Flower, flower_beside
from pipeline import Pipeline, Process, wait_until
from servers import Server

from roark_ledger.lifecycle import State

pytestmark = pytest.mark.acceptance

ROARK_TOKEN = "rk-live-PLANTED1-bearer"
VAPI_SECRET = "vapi-PLANTED2-secret"
REDIS_PASSWORD = "redis-PLANTED3-password"
GUESSED_SECRET = "guess-PLANTED4-secret"
PHONE = "+15550142233"
SPACED_PHONE = "+1 (555) 014-2233"
ALERT_SECRET = "T0-PLANTED6-B0"
TRANSCRIPT = "my card number is PLANTED5"
PHONES = (PHONE, "5550142233", SPACED_PHONE, "014-2233")
PLANTED = (ROARK_TOKEN, VAPI_SECRET, REDIS_PASSWORD, GUESSED_SECRET, ALERT_SECRET, TRANSCRIPT, *PHONES)
REFUSED, GOOD, BROKEN = "call-refused", [f"call-{n}" for n in range(20)], "call-broken"


def report(call_id: str, **more: Any) -> bytes:
    customer = {"number": PHONE, "name": SPACED_PHONE}
    message = {"type": "end-of-call-report", "call": {"id": call_id, "customer": customer}, "transcript": TRANSCRIPT}
    return json.dumps({"message": message | more}).encode()


@pytest.fixture(scope="module")
def line() -> Iterator[Pipeline]:
    with Pipeline(
        ROARK_INGEST_LOG_LEVEL="debug",
        ROARK_INGEST_LOG_FORMAT="json",
        ROARK_API_BEARER_TOKEN=ROARK_TOKEN,
        ROARK_INGEST_VAPI_SECRET=VAPI_SECRET,
        ROARK_INGEST_ALERT_URL=f"http://ada:{ALERT_SECRET}@127.0.0.1:{unused_port()}/services/{ALERT_SECRET}",
        ROARK_INGEST_ALERT_LOOK_SECONDS="0.1",
        ROARK_INGEST_PROPERTIES_FROM_REPORT='{"customer":"call.customer.number"}',
    ) as line:
        line.valkey.stop()
        line.valkey = Server(line.folder, tcp=True)
        line.valkey.start()
        line.ledger.client.execute_command("ACL", "SETUSER", "ada", "on", f">{REDIS_PASSWORD}", "~*", "&*", "+@all")
        line.environment["ROARK_INGEST_REDIS_URL"] = f"redis://ada:{REDIS_PASSWORD}@127.0.0.1:{line.valkey.port}/0"
        yield line


@dataclass
class Aftermath:
    """What was said by processes that have been through all of it, and what Flower showed meanwhile."""

    processes: list[Process]
    pages: str

    @property
    def logs(self) -> dict[str, str]:
        """Of all processes but Roark's stand-in, which shows what it was sent."""
        return {each.name: each.log for each in self.processes if not each.name.startswith("sandbox")}


@pytest.fixture(scope="module")
def after(line: Pipeline) -> Aftermath:
    message = f"number {PHONE} or {SPACED_PHONE} is unknown, token Bearer {ROARK_TOKEN}"
    refusal = f"422:calls={REFUSED}:message={message}"
    roark = line.start_sandbox("--token", ROARK_TOKEN, "--fail", refusal)
    worker = line.start_worker()
    webhook = line.start("webhook", "-m", "roark_ops.cli", "webhook", "--port", "0")
    webhook.wait_for_line("webhook listening on")
    url = webhook.log.split("webhook listening on ")[1].split()[0].strip('"}')

    def post(body: bytes, secret: str = VAPI_SECRET, **query: str) -> int:
        headers = {"X-Vapi-Secret": secret, "Authorization": f"Bearer {secret}"}
        return httpx.post(url, content=body, params=query, headers=headers, trust_env=False).status_code

    with flower_beside(line) as flower:
        # good ones, a duplicate, a refused one, unusable ones, another message, and a stranger
        assert {post(report(call_id), caller=PHONE) for call_id in [*GOOD, GOOD[0], REFUSED]} == {200}
        assert post(json.dumps({"message": {"type": "end-of-call-report", "transcript": TRANSCRIPT}}).encode()) == 422
        assert post(f"no json, but {PHONE} {TRANSCRIPT}".encode()) == 422
        assert post(json.dumps({"message": {"type": "status-update", "number": PHONE}}).encode()) == 200
        assert post(report("call-of-a-stranger"), secret=GUESSED_SECRET) == 401
        line.wait_until_settled()
        flower.wait_for(SUCCESS=len(GOOD), FAILURE=1)

        # Roark wants to be paid, and the lane is held with its words; who should hear of it cannot be reached
        roark.behave(fail=[f"402:1:message={message}"])
        assert post(report("call-unpaid")) == 200
        worker.wait_for_line("lane_held")
        worker.wait_for_line("alert_not_sent")
        roark.behave(fail=[])
        line.wait_until_settled()
        pages = all_pages(flower)

    # Roark is gone; then Redis is gone
    gone = f"http://127.0.0.1:{unused_port()}"
    lost = line.start_worker(ROARK_BASE_URL=gone, ROARK_INGEST_LOG_FORMAT="console")
    worker.terminate()
    assert worker.exit_code() == 0
    assert post(report(BROKEN)) == 200
    line.wait_for(State.WAITING, 1)
    line.valkey.stop()
    wait_until(lambda: "redis_away" in lost.log, "the worker misses Redis")
    assert post(report("call-spooled")) == 200
    for process in (lost, webhook):
        process.terminate()
        process.exit_code()
    line.start("status", "-m", "roark_ops.cli", "status").exit_code()
    return Aftermath(line.processes, pages)


def all_pages(flower: Flower) -> str:
    """Flower's pages, with what a worker says of itself when it is asked."""
    (worker,) = [each["hostname"] for each in flower.workers()]
    page = f"/worker/{worker}"
    wait_until(lambda: "virtual_host" in flower.page(page).lower().replace(" ", "_"), "the worker's figures")
    (dead,) = flower.find(REFUSED)
    pages = ("/workers", page, "/broker", f"/task/{dead['uuid']}", "/api/workers", "/api/tasks")
    return "\n".join(map(flower.page, pages))


def unused_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def test_nothing_that_was_planted_is_in_any_log(after: Aftermath) -> None:
    assert not {(name, planted) for name, log in after.logs.items() for planted in PLANTED if planted in log}


def test_nothing_that_was_planted_is_on_any_page_of_flower(after: Aftermath) -> None:
    assert REFUSED in after.pages
    assert "virtual_host" in after.pages.lower().replace(" ", "_")
    assert not {planted for planted in PLANTED if planted in after.pages}


def test_what_happened_is_in_the_logs_all_the_same(after: Aftermath) -> None:
    said = "\n".join(after.logs.values())
    for word in ("accept", "deliver", "bury", "defer", "redis_away", "reject", REFUSED, BROKEN, GOOD[7], "http_422"):
        assert word in said, word


def test_each_attempt_is_one_event_with_all_its_facts(after: Aftermath) -> None:
    lines = [text for log in after.logs.values() for text in log.splitlines()]
    told = [json.loads(text) for text in lines if text.startswith("{")]
    attempts = [one for one in told if one.get("action") in {"deliver", "bury"}]
    assert sorted(one["call_id"] for one in attempts if one["action"] == "deliver") == sorted([*GOOD, "call-unpaid"])
    (buried,) = [one for one in attempts if one["action"] == "bury"]
    facts = {name: buried[name] for name in ("call_id", "attempt", "status", "reason", "level")}
    assert facts == {"call_id": REFUSED, "attempt": 1, "status": 422, "reason": "http_422", "level": "warning"}
    assert buried["duration_ms"] >= 1
    assert buried["age_seconds"] >= 0
    deferred = next(text for text in lines if f" defer call_id={BROKEN}" in text)
    assert re.search(
        r" attempt=1 status=null reason=connect_refused duration_ms=\d+ age_seconds=.* next_try_seconds=", deferred
    )

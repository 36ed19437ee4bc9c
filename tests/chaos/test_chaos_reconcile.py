"""A fortnight of calls at Vapi, some of which never came: the missing are brought in once, whatever dies."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from call_objects import call_object
from pipeline import Pipeline, wait_until
from pydantic import SecretStr

from roark_producer.settings import IngestSettings
from roark_producer.taking import Intake
from roark_producer.vapi.calls import report_of
from roark_worker.calls.reconcile import Comparer, Comparison
from roark_worker.calls.reconciling import rules_of
from roark_worker.calls.roark_calls import RoarkCalls
from roark_worker.calls.rules import Bucket, Stretch, StretchKind
from roark_worker.calls.vapi import Vapi
from roark_worker.calls.vapi_settings import VapiSettings
from roark_worker.settings import WorkerSettings
from roark_worker.upload.roark import Token

NUMBER = 20_000
DAYS = 10
MISSING, TWICE, LONG, LONG_MISSING, NOT_KEPT, FAILED, STALE = 200, 100, 20, 10, 30, 10, 80
MS_PER_DAY = 86_400_000


def iso(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def call_of(call_id: str, **changes: Any) -> dict[str, Any]:
    """A call without links to its audio: uploads would ask Vapi for fresh ones, at two a second for some hours."""
    call = call_object(call_id, **changes)
    gone = ("presignedMonoUrl", "presignedUrlsExpiresAt")
    artifact = {name: value for name, value in call["artifact"].items() if name not in gone}
    return call | {"artifact": artifact}


def times(created: datetime, ended: datetime) -> dict[str, str]:
    return {"createdAt": iso(created), "startedAt": iso(created), "endedAt": iso(ended), "updatedAt": iso(ended)}


@pytest.mark.chaos
@pytest.mark.timeout(1200)
def test_of_20_000_calls_the_missing_are_exactly_the_missing_and_come_once() -> None:
    now = datetime.now(UTC)
    step = timedelta(days=DAYS) / NUMBER
    calls: list[dict[str, Any]] = []
    for number in range(NUMBER):
        created = now - timedelta(days=DAYS, minutes=40) + number * step
        made = call_object if number % (NUMBER // STALE) == 2 else call_of
        calls.append(made(f"call-{number:05}", **times(created, created + timedelta(minutes=2))))
    ids = [call["id"] for call in calls]
    every = NUMBER // MISSING
    missing = set(ids[::every])
    twice = set(ids[1 :: NUMBER // TWICE])
    not_kept = {f"unkept-{number}" for number in range(NOT_KEPT)}
    failed = {f"failed-{number}" for number in range(FAILED)}
    long = [f"long-{number}" for number in range(LONG)]
    begun = now - timedelta(hours=6)
    going_on = [
        call_of(one, status="in-progress", **times(begun, begun)) | {"endedAt": None, "artifact": None} for one in long
    ]
    odd = [
        *(call_of(one, artifact={}, messages=[], **times(begun, begun)) for one in not_kept),
        *(call_of(one, messages=[], **times(begun, begun)) | {"artifact": None, "startedAt": None} for one in failed),
    ]

    with Pipeline() as line:
        sandbox = line.start_sandbox("--vapi-key", "key", "--vapi-fail", "429:0.03:retry-after=1", "--no-dedup")
        vapi = httpx.Client(base_url=sandbox.url, timeout=60, trust_env=False)
        for first in range(0, NUMBER, 1000):
            vapi.put("/_sandbox/vapi/calls", json=calls[first : first + 1000]).raise_for_status()
        vapi.put("/_sandbox/vapi/calls", json=going_on + odd).raise_for_status()
        environment = {
            "VAPI_API_KEY": "key",
            "VAPI_BASE_URL": sandbox.url,
            "ROARK_INGEST_RECONCILE_MINUTES": "0.02",
            "ROARK_INGEST_BACKFILL": "on",
        }
        line.submit(report_of(call) for call in calls if call["id"] not in missing)
        line.submit(report_of(call) for call in calls if call["id"] in twice)
        worker = line.start_worker(**environment)

        def read(share: float) -> bool:
            found = line.snapshot().reconciled
            oldest = now.timestamp() * 1000 - 14 * MS_PER_DAY
            return bool(found) and found.watermark_ms > oldest + share * 14 * MS_PER_DAY

        for share in (0.45, 0.7):
            wait_until(lambda share=share: read(share), f"{share:.0%} of the list is read", 300)
            before = line.snapshot().reconciled
            worker.kill()
            worker = line.start_worker(**environment)
            after = line.snapshot().reconciled
            assert before
            assert after
            assert after.watermark_ms >= before.watermark_ms

        def whole_pass() -> bool:
            found = line.snapshot().reconciled
            return bool(found) and found.at_ms > 0

        wait_until(whole_pass, "a pass has read all", 400)
        # Twenty calls that went on when their window was read have ended by now; half of their reports never come.
        ended = datetime.now(UTC) - timedelta(minutes=20)
        vapi.put("/_sandbox/vapi/calls", json=[call_of(one, **times(begun, ended)) for one in long])
        line.submit(report_of(call_of(one, **times(begun, ended))) for one in long[LONG_MISSING:])
        expected = len(missing) + len(failed) + LONG_MISSING
        wait_until(lambda: line.snapshot().total("backfilled") >= expected, f"{expected} reports are brought in", 200)
        line.wait_until_settled(200)

        everything = {*ids, *long, *failed}
        at_roark = sandbox.calls()
        assert set(at_roark) == everything
        snapshot = line.snapshot()
        twice_uploaded = sum(one["imported"] - 1 for one in at_roark.values())
        assert twice_uploaded <= snapshot.total("leases_expired"), "what was in flight when a worker was killed"
        assert snapshot.total("backfilled") == expected
        assert (snapshot.total("accepted"), snapshot.total("duplicates")) == (len(everything), TWICE)
        assert (snapshot.total("replaced"), snapshot.total("revisions")) == (0, 0)
        brought_in = {one for one in everything if any(step.name == "backfilled" for step in line.look(one).history)}
        assert brought_in == missing | failed | set(long[:LONG_MISSING])
        reconciled = snapshot.reconciled
        assert reconciled
        assert reconciled.missing == 0
        assert datetime.now(UTC).timestamp() * 1000 - reconciled.watermark_ms < 20 * 60_000
        asked = vapi.get("/_sandbox/vapi").json()
        assert asked["most_in_ten_seconds"] <= 22, "two requests a second: passes, fresh links, and across the deaths"

        vapi.put("/_sandbox/vapi", json={"fail": []}).raise_for_status()
        found = certificate(line, sandbox.url)
        vapi.close()
    assert found.ended == len(everything) + NOT_KEPT
    assert found.buckets[Bucket.DELIVERED] == len(everything) == len(at_roark)
    assert found.buckets[Bucket.UNRECOVERABLE] == NOT_KEPT
    assert found.buckets[Bucket.MISSING] == 0
    sums = found.certificate()
    assert (sums["vapi"] - NOT_KEPT, sums["here"], sums["delivered"], sums["roark"]) == (len(everything),) * 4
    assert sums["looked_up"]
    assert sums["not_visible"] == 0


def certificate(line: Pipeline, url: str) -> Comparison:
    """Compare all three sides once more, as a person would, but without pauses."""
    settings = VapiSettings(vapi_api_key=SecretStr("key"), vapi_base_url=url)
    until = round(datetime.now(UTC).timestamp() * 1000)
    found = Comparison(until - 14 * MS_PER_DAY, until)
    worker = WorkerSettings(roark_base_url=url)
    with Vapi(settings, gap_seconds=0) as vapi, RoarkCalls(worker, Token(SecretStr("any")), per_second=0) as roark:
        rules, intake = rules_of(settings, worker), Intake(IngestSettings())
        comparer = Comparer(line.ledger, vapi, rules, intake, backfill=False, roark=roark)
        comparer.compare(Stretch(StretchKind.NEW, found.since_ms, found.until_ms), found)
    return found

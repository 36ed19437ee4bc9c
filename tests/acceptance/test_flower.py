"""A real Flower beside real workers: what it says of each report, and whether that is what the ledger says."""

import json
import time
from collections.abc import Iterator

import httpx
import pytest
from flowers import flower_beside
from pipeline import TOKEN, Pipeline, wait_until
from replaying import replay_at_once

from roark_ledger.lifecycle import State
from roark_ledger.moves import delivery, desk
from roark_ledger.records.logbook import doer
from roark_ops.erasing.flower_store import clean_store
from roark_samples import sample_reports

pytestmark = pytest.mark.acceptance

REPORTS = 150
SEEN_WITHIN_SECONDS = 5
COUNTED = ("task-succeeded", "task-failed", "task-retried", "task-received")


@pytest.fixture
def line() -> Iterator[Pipeline]:
    with Pipeline(ROARK_INGEST_FLOWER_SUCCESSES_PER_SECOND="1000") as line:
        yield line


@pytest.fixture(scope="module")
def bodies() -> list[bytes]:
    return [sample.body(wrap=True) for sample in sample_reports(REPORTS, odd=0, dup=0)]


def call_ids(bodies: list[bytes]) -> list[str]:
    return [json.loads(body)["message"]["call"]["id"] for body in bodies]


def test_flower_says_of_each_call_what_the_ledger_says(line: Pipeline, bodies: list[bytes]) -> None:
    refused = call_ids(bodies)[:3]
    fault = f"422:calls={'+'.join(refused)}:message=Bad number +15550101234"
    roark = line.start_sandbox("--fail", fault, "--fail", "503:0.2", "--seed", "1")
    line.start_supervisor(2)
    with flower_beside(line) as flower:
        line.submit(bodies)
        line.wait_until_settled()

        # then its counts are the ledger's
        assert line.count(State.DEAD) == len(refused)
        flower.wait_for(SUCCESS=line.count(State.DELIVERED), FAILURE=len(refused))

        # and a call is found by its id, with everything that happened to it
        tried_again = [call for call in call_ids(bodies) if "deferred" in {e.name for e in line.look(call).history}]
        found = [row for call in (refused[0], tried_again[-1]) for row in flower.find(call)]
        assert [(row["args"], row["name"]) for row in found] == [
            (refused[0], "roark.report"),
            (tried_again[-1], "roark.report"),
        ]
        dead, again = found
        assert dead["state"] == "FAILURE"
        assert "Roark refused the report as invalid (422)." in dead["exception"]
        assert f"roark-ingest dlq show {refused[0]}" in dead["exception"]
        assert refused[0] in flower.page(f"/task/{refused[0]}")
        assert (again["state"], again["exception"]) == ("SUCCESS", None)
        assert again["retries"] >= 1
        assert again["result"].startswith(f"delivered on attempt {again['retries'] + 1}: 200 in ")
        assert again["runtime"] > 0

        # and reports are all that there is
        assert flower.other_rows() == []

        # and what a worker is said to have done is what the ledger knows of
        events = [event.name for call in call_ids(bodies) for event in line.look(call).history]
        counted = {name: sum(row.get(name) or 0 for row in flower.workers()) for name in COUNTED}
        assert counted == {
            "task-succeeded": line.count(State.DELIVERED),
            "task-failed": len(refused),
            "task-retried": events.count("deferred"),
            "task-received": line.count(State.DELIVERED) + len(refused) + events.count("deferred"),
        }

        # and nothing is there that must not be
        shown = json.dumps(flower.reports())
        assert "5550101234" not in shown
        assert "transcript" not in shown
        assert TOKEN not in shown

        # and a dead letter that is sent again turns from FAILURE to SUCCESS
        roark.behave(fail=[])
        replay_at_once(line.ledger, refused[:1])
        flower.wait_for(SUCCESS=REPORTS - 2, FAILURE=2)
        assert flower.reports()[refused[0]]["exception"] is None

    # and all of it survives Flower's restart
    with flower_beside(line) as flower:
        flower.wait_for(SUCCESS=REPORTS - 2, FAILURE=2)
        assert httpx.get(flower.url).status_code == 401

        # and what is erased is gone from it, and from its store, within seconds
        line.ledger.run(desk.erase(refused[1], key=b"k" * 32, who=doer("ada")))
        place = clean_store(line.folder / "data" / "flower", line.ledger)
        assert (place.became, place.what) == ("done", "by itself")
        assert flower.find(refused[1]) == []
        assert refused[2] in flower.reports()


def test_successes_above_the_rate_are_sampled_problems_are_not_and_all_can_be_switched_off(
    line: Pipeline, bodies: list[bytes]
) -> None:
    refused = call_ids(bodies)[-30:]
    line.start_sandbox("--fail", f"400:calls={'+'.join(refused)}")
    silent = line.start_worker(ROARK_INGEST_FLOWER_EVENTS="off")
    with flower_beside(line) as flower:
        line.submit(bodies[:5])
        wait_until(lambda: line.count(State.DELIVERED) == 5, "five are delivered")
        assert (flower.reports(), flower.other_rows()) == ({}, [])
        silent.terminate()
        assert silent.exit_code() == 0

        line.start_worker(ROARK_INGEST_FLOWER_SUCCESSES_PER_SECOND="1")
        line.submit(bodies)
        line.wait_until_settled()

        wait_until(lambda: flower.states()["FAILURE"] == len(refused), "every problem is shown")
        assert flower.states()["SUCCESS"] < REPORTS - len(refused) - 5


def test_a_shut_lane_is_seen_within_seconds_in_plain_words_and_so_is_its_end(
    line: Pipeline, bodies: list[bytes]
) -> None:
    line.start_sandbox()
    line.start_supervisor(2)
    with flower_beside(line) as flower:
        line.submit(bodies[:5])
        line.wait_until_settled()

        line.ledger.run(delivery.hold(by="ada", reason="Roark moves, call +15550101234"))
        began = time.monotonic()
        wait_until(flower.other_rows, "the lane is seen")
        assert time.monotonic() - began < SEEN_WITHIN_SECONDS
        (row,) = flower.other_rows()
        assert (row["name"], row["state"]) == ("roark.lane", "SHUT")
        assert row["exception"].startswith("Uploads are paused. Reports ready: 0. ada paused uploads")
        assert "Next: roark-ingest resume" in row["exception"]
        assert "5550101234" not in row["exception"]
        assert sum(worker.get("task-retried") or 0 for worker in flower.workers()) == 0, "it is no report"
        (first, *_) = flower.find("")
        assert first["name"] == "roark.lane", "it stands on top"

        line.ledger.run(delivery.resume(by="ada"))
        wait_until(lambda: flower.other_rows()[0]["state"] == "OPEN", "its end is seen")
        assert flower.other_rows()[0]["exception"] is None

        # and it may be shut once more
        line.ledger.run(delivery.hold(by="roark", reason="http_401 Unauthorized", gap_ms=60_000, longest_gap_ms=60_000))
        wait_until(lambda: flower.other_rows()[0]["state"] == "SHUT", "it is seen again")
        assert "Roark rejected our token (401)." in flower.other_rows()[0]["exception"]

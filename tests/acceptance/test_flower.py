"""A real Flower beside real workers: what it says of each report, and whether that is what the ledger says."""

import json
from collections.abc import Iterator

import httpx
import pytest
from flowers import Flower, flower_beside
from pipeline import TOKEN, Pipeline, wait_until

from roark_ops.sample_reports import sample_reports
from roark_producer import operations
from roark_producer.lifecycle import State

pytestmark = pytest.mark.acceptance

REPORTS = 150


@pytest.fixture
def line() -> Iterator[Pipeline]:
    with Pipeline(ROARK_INGEST_FLOWER_SUCCESSES_PER_SECOND="1000") as line:
        yield line


@pytest.fixture(scope="module")
def bodies() -> list[bytes]:
    return [sample.body(wrap=True) for sample in sample_reports(REPORTS, odd=0, dup=0)]


def call_ids(bodies: list[bytes]) -> list[str]:
    return [json.loads(body)["message"]["call"]["id"] for body in bodies]


def wait_for_a_summary(flower: Flower, saying: str) -> str:
    """Wait until a drain has ended that says so; return all that it says."""

    def summaries() -> list[str]:
        return [drain["result"] for drain in flower.drains() if saying in (drain["result"] or "")]

    wait_until(summaries, f"a drain has ended, {saying}")
    return summaries()[0]


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

        # and drains say what they did
        summary = wait_for_a_summary(flower, saying="delivered")
        assert "ended after" in summary

        # and nothing is there that must not be
        shown = json.dumps(flower.reports()) + json.dumps(flower.drains())
        assert "5550101234" not in shown
        assert "transcript" not in shown
        assert TOKEN not in shown

        # and a dead letter that is sent again turns from FAILURE to SUCCESS
        roark.behave(fail=[])
        line.ledger.run(operations.replay(refused[:1], detail=b'{"by":"test"}'))
        flower.wait_for(SUCCESS=REPORTS - 2, FAILURE=2)
        assert flower.reports()[refused[0]]["exception"] is None

    # and all of it survives Flower's restart
    with flower_beside(line) as flower:
        flower.wait_for(SUCCESS=REPORTS - 2, FAILURE=2)
        assert httpx.get(flower.url).status_code == 401


def test_successes_above_the_rate_are_sampled_problems_are_not_and_all_can_be_switched_off(
    line: Pipeline, bodies: list[bytes]
) -> None:
    refused = call_ids(bodies)[-30:]
    line.start_sandbox("--fail", f"400:calls={'+'.join(refused)}")
    silent = line.start_worker(ROARK_INGEST_FLOWER_EVENTS="off")
    with flower_beside(line) as flower:
        line.submit(bodies[:5])
        wait_for_a_summary(flower, saying="5 delivered")
        assert line.count(State.DELIVERED) == 5
        assert flower.reports() == {}
        silent.terminate()
        assert silent.exit_code() == 0

        line.start_worker(ROARK_INGEST_FLOWER_SUCCESSES_PER_SECOND="1")
        line.submit(bodies)
        line.wait_until_settled()

        wait_until(lambda: flower.states()["FAILURE"] == len(refused), "every problem is shown")
        assert flower.states()["SUCCESS"] < REPORTS - len(refused) - 5

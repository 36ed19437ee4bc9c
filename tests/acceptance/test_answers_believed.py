"""Answers of success that prove nothing, and what operators see of them: two workers, the sandbox, the commands."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import CommandLine
from pipeline import Pipeline, wait_until

from roark_ledger.lifecycle import State
from roark_producer.settings import IngestSettings
from roark_samples import sample_reports

pytestmark = pytest.mark.acceptance

REPORTS = 60


@pytest.fixture
def line() -> Iterator[Pipeline]:
    with Pipeline() as line:
        yield line


@pytest.fixture
def shell(line: Pipeline, tmp_path: Path) -> CommandLine:
    return CommandLine(line.valkey.url, IngestSettings(_env_file=None).prefix, tmp_path)


def bodies(number: int = REPORTS) -> list[bytes]:
    return [sample.body(wrap=True) for sample in sample_reports(number, odd=0, dup=0)]


def test_a_success_without_the_calls_id_keeps_the_report_until_it_is_settled(
    line: Pipeline, shell: CommandLine
) -> None:
    """Of three that Roark does not name one is there, one is not, and one is nobody's business any more."""
    reports = bodies()
    there, lost, test_call = ids = [line.producer.submit(body).call_id for body in reports[:3]]
    roark = line.start_sandbox(
        *("--fail", f"200-empty:calls={there}:imported=true"), *("--fail", f"200-empty:calls={lost}+{test_call}")
    )
    line.start_supervisor(2)
    line.submit(reports[3:])
    line.wait_for(State.DELIVERED, REPORTS)

    # It is seen: in its own number, in the story of each, and nowhere as a certainty.
    status = shell.run("status", "--json")
    assert status.exit_code == 3
    assert status.document["states"]["delivered"] == REPORTS
    receipts = status.document["receipts"]
    assert (receipts["confirmed"], receipts["unconfirmed"]) == (REPORTS - 3, 3)
    assert "3 unconfirmed" in shell.run("status").stdout
    listed = shell.run("list", "--state", "unconfirmed", "--json").documents
    assert sorted(one["call_id"] for one in listed) == sorted(ids)
    for call_id in ids:
        story = shell.run("why", call_id)
        assert "unconfirmed" in story.stdout
        assert "Roark has it" not in story.stdout
        assert '{"data":{"callId":null}}' in story.stdout
        assert f"roark-ingest dlq confirm {call_id}" in story.stdout
        document = shell.run("why", call_id, "--json").document
        assert (document["state"], document["confirmed"]) == ("delivered", False)
        assert line.look(call_id).packed
    assert "roark_ingest_unconfirmed_reports 3" in shell.run("metrics").stdout
    audit = shell.run("audit", "--json")
    assert audit.exit_code == 0
    assert audit.document["receipts"]["unconfirmed"] == 3

    # It is settled: one is confirmed, one sent again, one dropped.
    roark.behave(fail=[])
    assert shell.run("dlq", "confirm", there, "--reason", "seen at Roark", "--yes").exit_code == 0
    assert shell.run("dlq", "replay", lost, "--yes").exit_code == 0
    assert shell.run("dlq", "discard", test_call, "--yes").exit_code == 0
    wait_until(lambda: line.look(lost).record and line.look(lost).record.note, "it is named")  # type: ignore[union-attr]

    receipts = shell.run("status", "--json").document["receipts"]
    assert (receipts["confirmed"], receipts["unconfirmed"]) == (REPORTS, 0)
    assert "Roark has it" in shell.run("why", lost).stdout
    for call_id in (there, test_call):
        assert "Roark has it" not in shell.run("why", call_id).stdout
        assert not line.look(call_id).packed
    calls = roark.calls()
    assert calls[lost]["imported"] == 1
    assert test_call not in calls or not calls[test_call]["imported"]
    assert shell.run("audit").exit_code == 0


def test_sent_again_what_roark_has_is_not_imported_twice(line: Pipeline, shell: CommandLine) -> None:
    roark = line.start_sandbox("--fail", "200-empty:0.2:imported=true")
    line.start_supervisor(2)
    line.submit(bodies())
    line.wait_for(State.DELIVERED, REPORTS)
    assert line.snapshot().unconfirmed > 2

    roark.behave(fail=[])
    sent = shell.run("dlq", "replay", "--unconfirmed", "--yes", "--json")
    assert sent.exit_code == 0
    wait_until(lambda: line.snapshot().confirmed == REPORTS, "all are confirmed")

    assert {call["imported"] for call in roark.calls().values()} == {1}
    assert shell.run("status").exit_code == 0


def test_a_success_with_an_error_inside_is_no_delivery(line: Pipeline, shell: CommandLine) -> None:
    reports = bodies()
    passing, refused = (line.producer.submit(body).call_id for body in reports[:2])
    roark = line.start_sandbox(
        *("--fail", f"200-error:calls={passing}"), *("--fail", f"200-error:calls={refused}:code=validation_error")
    )
    line.start_supervisor(2, ROARK_INGEST_MAX_ATTEMPTS="1000")
    line.submit(reports[2:])
    line.wait_for(State.DELIVERED, REPORTS - 2)
    line.wait_for(State.DEAD, 1)
    wait_until(lambda: len(line.look(passing).history) > 2, "it is tried again and again")

    assert not {passing, refused} & {call_id for call_id, call in roark.calls().items() if call["imported"]}
    document = shell.run("why", refused, "--json").document
    assert (document["state"], document["reason"]) == ("dead", "http_422")
    assert document["explanation"]["side"] == "this report"
    assert "inside an answer with status 200" in document["explanation"]["what"]
    assert document["history"][-1]["message"] == "The upload failed: validation_error"
    assert document["history"][-1]["code"] == "validation_error"
    story = shell.run("why", passing).stdout
    assert "The upload failed: internal_error" in story
    assert "unconfirmed" not in story

    roark.behave(fail=[])
    wait_until(lambda: line.count(State.DELIVERED) == REPORTS - 1, "it is delivered")
    assert line.snapshot().confirmed == REPORTS - 1

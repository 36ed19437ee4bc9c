"""What operators dislike in the dead-letter queues of today, each as a test of why it does not happen here.

How each command behaves in full is tested beside it; here stands what must never be said of this one.
"""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from channel import Channel
from commands import PHONE, PLENTY, TRANSCRIPT, CommandLine
from delivering import worker_settings
from pipeline import wait_until
from servers import Server, configured

from roark_ledger.errors import ConfigurationError
from roark_ledger.lifecycle import State
from roark_ledger.moves import delivery, upkeep
from roark_ledger.packing import unpack
from roark_ledger.server.durability import inspect, keep
from roark_worker.alerts.alerting import Alerter
from roark_worker.answers.verdict import Answer, OurFault, judge
from roark_worker.flower.report_events import events_of

MANY = 600
"""More than any page."""


@pytest.fixture
def line(valkey: Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    # Neither a `.env` beside the repository nor this machine's settings may take part.
    monkeypatch.chdir(tmp_path)
    for name in ("ROARK_API_BEARER_TOKEN", "ROARK_BASE_URL", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    made = CommandLine(valkey.url, prefix, tmp_path)
    yield made
    made.ledger.close()


def dead(line: CommandLine, *options: str) -> list[str]:
    return [letter["call_id"] for letter in line.run("dlq", "list", "--json", *options).documents]


def payload(line: CommandLine, call_id: str) -> bytes:
    return unpack(line.entry(call_id).packed).payload


def send(line: CommandLine, *arguments: str) -> str:
    ended = line.run("dlq", "replay", *arguments, "--yes", "--no-ramp", "--json")
    assert ended.exit_code == 0, ended
    return str(ended.document["job"])


def test_a_command_never_acts_on_more_than_what_its_filter_shows(line: CommandLine) -> None:
    line.bury_all("c-1", "c-2", message="endedAt is before startedAt")
    line.bury_all("c-3", "c-4", reason="http_413", status=413)
    shown = dead(line, "--died-of", "http_413")

    line.run("dlq", "discard", "--died-of", "http_413", "--yes", "--reason", "too large for ever")

    assert [call_id for call_id in ("c-1", "c-2", "c-3", "c-4") if line.state(call_id) == "discarded"] == shown
    assert dead(line) == ["c-1", "c-2"]


def test_bulk_does_not_stop_at_a_page(line: CommandLine) -> None:
    line.bury_all(*(f"c-{number}" for number in range(MANY)))
    assert len(dead(line)) == MANY

    send(line, "--all", "--reason", "Roark is back")

    assert line.snapshot().replays.selected == MANY


def test_what_arrives_while_all_are_replayed_is_not_among_them(line: CommandLine) -> None:
    line.bury_all("c-1", "c-2")
    job = send(line, "--all")

    line.bury_all("c-3")
    line.tick()

    assert dead(line) == ["c-3"]
    assert line.run("replay", "show", job, "--json").document["selected"] == 2


def test_nothing_is_capped_and_nothing_expires_silently(line: CommandLine) -> None:
    line.bury_all(*(f"c-{number}" for number in range(MANY)))

    client, keys = line.ledger.client, line.ledger.calls.keys
    assert {client.ttl(key) for key in client.scan_iter(match=f"{keys.records.rpartition(':')[0]}:*")} == {-1}
    shown = line.run("dlq", "list")
    assert f"of {MANY}" in shown.stdout.replace(",", ""), "it says that the list is cut"
    assert "--cursor" in shown.stderr, "and how to see the rest"
    assert "keeps everything" in line.run("status").stdout


def test_every_dead_letter_has_its_reason_roarks_answer_and_each_attempt(line: CommandLine) -> None:
    line.accept("c-1")
    line.defer("c-1", delay_ms=0, message="upstream is down")
    line.ledger.run(upkeep.promote(most=1))
    line.bury("c-1", message="endedAt is before startedAt", parameter="endedAt")

    found = line.run("dlq", "show", "c-1", "--json").document

    attempts = [event for event in found["history"] if "status" in event]
    assert [(event["status"], event["message"]) for event in attempts] == [
        (503, "upstream is down"),
        (422, "endedAt is before startedAt"),
    ]
    assert found["explanation"]["side"] == "this report"
    assert found["explanation"]["command"].startswith("roark-ingest ")


def test_they_can_be_searched_and_grouped(line: CommandLine) -> None:
    line.bury_all("c-1", "c-2", message="call 7f3a is 812 s long")
    line.bury_all("c-3", message="call 91bc has no recording")

    groups = line.run("dlq", "groups", "--json").documents

    assert [group["count"] for group in groups] == [2, 1]
    assert dead(line, "--text", "no recording") == ["c-3"]
    rows = csv.DictReader(line.run("dlq", "list", "--csv", "--group", groups[0]["group"]).stdout.splitlines())
    assert [row["call_id"] for row in rows] == ["c-1", "c-2"]


def test_a_replay_does_not_go_before_live_calls(line: CommandLine) -> None:
    line.bury_all(*(f"old-{number}" for number in range(40)))
    send(line, "--all")
    line.tick()
    line.accept(*(f"live-{number}" for number in range(40)))

    claimed = line.ledger.run(delivery.claim(wanted=40, lease_ms=9_000, listen_ms=0, most_bytes=10**9)).reports

    live = [one.call_id for one in claimed if one.call_id.startswith("live-")]
    assert len(live) > 20, "live calls have the larger share"
    assert len(live) < 40, "and a replay is not starved"


def test_a_replay_stops_by_itself_when_roark_is_not_well(line: CommandLine) -> None:
    line.bury_all(*(f"c-{number}" for number in range(30)))
    ended = line.run("dlq", "replay", "--all", "--yes", "--json")
    line.tick()

    line.bury("c-0")
    line.tick()

    job = line.run("replay", "show", str(ended.document["job"]), "--json").document
    assert (job["state"], job["sent"], job["failed"]) == ("paused", 1, 1)
    assert len(dead(line)) == 30


def test_a_replay_has_progress_a_cancel_and_no_need_of_its_terminal(line: CommandLine) -> None:
    line.bury_all(*(f"c-{number}" for number in range(10)))
    ended = line.run("dlq", "replay", "--all", "--yes", "--json")
    job = str(ended.document["job"])
    line.tick()  # a worker's tick, not the command's

    assert line.run("replay", "show", job, "--json").document["sent"] == 1
    assert line.run("replay", "cancel", job).exit_code == 0

    assert line.snapshot().states[State.DEAD] == 9, "a cancel loses none of the unsent"


def test_a_double_click_and_a_second_operator_send_nothing_twice(line: CommandLine) -> None:
    line.bury_all("c-1")
    send(line, "c-1", "--as", "ada")
    line.run("dlq", "replay", "c-1", "--yes", "--as", "bob")
    for _ in range(3):
        line.tick()
    line.deliver("c-1")
    line.run("dlq", "replay", "c-1", "--yes", "--as", "ada")
    line.tick()

    assert [event.name for event in line.entry("c-1").history].count("replayed") == 1
    assert line.state("c-1") == "delivered"


def test_a_letter_can_be_mended_and_sent(line: CommandLine) -> None:
    line.accept("c-1", big=12345678901234567890123)
    line.bury("c-1")

    assert line.run("dlq", "edit", "c-1", "--set", "endedReason=customer-ended-call", "--yes").exit_code == 0

    mended = payload(line, "c-1")
    assert b"12345678901234567890123" in mended, "numbers are not rounded"
    assert b'"customer-ended-call"' in mended
    assert line.run("dlq", "edit", "c-1", "--undo", "--yes").exit_code == 0
    assert b"customer-ended-call" not in payload(line, "c-1")


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405, 410])
def test_our_own_faults_are_not_mixed_with_those_of_reports(line: CommandLine, status: int) -> None:
    verdict = judge(Answer(status, {}, b"{}"), datetime.now(UTC))

    assert isinstance(verdict, OurFault), "the lane is held, and the report stays ready"
    assert line.run("explain", f"http_{status}", "--json").document["side"] == "our settings"


def test_somebody_is_told_of_the_first_dead_letter(line: CommandLine) -> None:
    channel = Channel()
    settings = worker_settings(alert_url=channel.url, alert_look_seconds=0.05)
    alerter = Alerter(line.ledger, settings, line.folder)
    alerter.start()
    try:
        line.bury_all("c-1")
        wait_until(lambda: channel.texts("ALERT roark-ingest dead_letters:"), "the alert is sent")
    finally:
        alerter.stop()
        channel.close()
    (text,) = channel.texts("ALERT roark-ingest dead_letters:")
    assert "roark-ingest dlq groups" in text, "with the command to type"


def test_a_long_table_keeps_redis_from_nobody(line: CommandLine) -> None:
    line.bury_all(*(f"c-{number}" for number in range(MANY)))
    before = calls_of_scripts(line)

    first = dead(line, "--limit", "50")
    of_one_page = calls_of_scripts(line) - before
    everything = dead(line)
    of_all = calls_of_scripts(line) - before - of_one_page

    assert (len(first), len(everything)) == (50, MANY)
    assert of_one_page <= 5, "a page is read, and not the table"
    assert of_all >= MANY / 100, "and the table some at a time, with room for others in between"


def calls_of_scripts(line: CommandLine) -> int:
    return int(line.ledger.client.info("commandstats")["cmdstat_evalsha"]["calls"])


def test_flower_names_what_to_type(line: CommandLine) -> None:
    line.accept("c-1")
    buried = delivery.Bury(line.claim("c-1"), "http_422", b'{"attempt":1,"status":422,"reason":"http_422"}')

    *_, failed = events_of(buried, at=0)

    assert failed.type == "task-failed"
    assert "roark-ingest " in failed.fields["exception"]


def test_a_server_that_is_less_durable_than_promised_is_refused(line: CommandLine) -> None:
    with configured(line.ledger.client, "appendonly", "no"), pytest.raises(ConfigurationError, match="appendonly yes"):
        keep("fsync", inspect(line.ledger.client))


def test_who_is_no_expert_is_asked_and_every_action_is_written_down(line: CommandLine) -> None:
    line.bury_all(*(f"c-{number}" for number in range(101)))

    assert line.run("dlq", "replay", "--all").exit_code == 2, "nobody can be asked here"
    assert line.run("dlq", "replay", "--all", "--yes").exit_code == 2, "a reason is needed above a hundred"
    assert len(dead(line)) == 101
    line.run("dlq", "discard", "c-0", "--yes", "--as", "ada")

    (deed,) = line.run("log", "list", "--json").documents
    assert (deed["by"], deed["action"]) == ("ada", "discard")


def test_a_persons_data_does_not_outlive_the_wish_to_erase_it(line: CommandLine, prefix: str) -> None:
    line.bury_all("c-1")
    line.run("dlq", "edit", "c-1", "--set", "endedReason=unknown", "--yes")
    send(line, "c-1")

    assert line.run("erase", "c-1", "--yes").exit_code == 0

    client = line.ledger.client
    stored = {key: client.dump(key) or b"" for key in client.scan_iter(match="*") if prefix.encode() in key}
    assert [key for key, value in stored.items() if PHONE.encode() in value or TRANSCRIPT.encode() in value] == []
    named = [key for key, value in stored.items() if b"c-1" in value]
    assert named == [], "the log of who did what has a tombstone in place of the id"
    line.accept("c-1")
    assert line.state("c-1") == "erased", "a late webhook does not bring it back"
    assert line.run("erase", "--help").exit_code == 0


@pytest.mark.parametrize(
    ("command", "follows"),
    [
        (("why", "c-1"), "roark-ingest dlq edit c-1"),
        (("dlq", "show", "c-1"), "roark-ingest dlq edit c-1"),
        (("dlq", "list"), "Next: roark-ingest dlq groups"),
        (("dlq", "groups"), "Next: roark-ingest dlq show c-1"),
        (("dlq", "replay", "--all", "--dry-run"), "Next: fix what will likely fail again, or replay"),
        (("dlq", "replay", "--all", "--yes"), "Watch: roark-ingest replay show 1 --follow"),
        (("status",), "Next: roark-ingest dlq groups"),
    ],
)
def test_nothing_is_told_without_what_to_type_next(line: CommandLine, command: tuple[str, ...], follows: str) -> None:
    line.bury_all("c-1", message="endedAt is before startedAt")
    assert follows in line.run(*command).stdout


def test_a_shut_breaker_is_told_with_whose_fault_it_is(line: CommandLine) -> None:
    line.ledger.client.hset(
        line.ledger.calls.keys.lane,
        mapping={"breaker_until": PLENTY * 10**4, "breaker_since": 1, "evidence": "9 of 9 attempts failed"},
    )
    told = line.run("status").stdout
    assert "Uploads are paused: circuit breaker open. Cause: Roark." in told
    assert "Reports stay ready until a probe succeeds." in told
    assert "(nothing to do but wait)" in told

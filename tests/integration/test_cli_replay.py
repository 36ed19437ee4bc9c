"""`dlq replay` and `replay` on a real Valkey: preview, frozen selections, reports, and what may not happen twice."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import PHONE, CommandLine
from servers import Server

from roark_ledger.errors import ReplayRefused
from roark_ledger.lifecycle import State
from roark_ledger.moves import delivery
from roark_ops import Replays
from roark_ops.desk.finding import Filter

HUNDRED_AND_ONE = [f"c-{number:03}" for number in range(101)]


@pytest.fixture
def line(valkey: Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    # Neither a `.env` beside the repository nor this machine's settings may take part.
    monkeypatch.chdir(tmp_path)
    for name in ("ROARK_API_BEARER_TOKEN", "ROARK_BASE_URL", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    made = CommandLine(valkey.url, prefix, tmp_path)
    yield made
    made.ledger.close()


def replay(line: CommandLine, *arguments: str) -> int:
    """Make a job; return its number."""
    ended = line.run("dlq", "replay", *arguments, "--yes", "--json")
    assert ended.exit_code == 0, ended
    number: int = ended.document["job"]
    return number


def test_a_preview_says_what_will_become_of_each_group_and_changes_nothing(line: CommandLine) -> None:
    line.bury_all("c-1", "c-2", message="call 7f3a is 812 s long")
    line.bury_all("c-3", code="exhausted", reason="http_503", status=503)
    line.bury_all("c-4", reason="not_roark", status=200)
    found = line.run("dlq", "replay", "--all", "--dry-run", "--json").document

    assert (found["letters"], found["will_fail_again"], found["after_mending"]) == (4, 2, 1)
    first = found["groups"][0]
    assert (first["reason"], first["message"], first["count"]) == ("http_422", "call # is # s long", 2)
    assert (first["will_fail_again"], first["explanation"]["replay"]) == (2, "no")
    told = line.run("dlq", "replay", "--all", "--dry-run").stdout
    assert "4 dead letters to replay (all)." in told
    assert "2 reports will likely fail again for the same reason unless fixed first." in told
    assert line.run("replay", "list").stdout == "No replay jobs.\n"
    assert line.snapshot().states[State.DEAD] == 4


def test_an_edited_letter_is_not_among_those_that_will_fail_again(line: CommandLine) -> None:
    line.bury_all("c-1", "c-2")
    line.run("dlq", "edit", "c-1", "--yes", "--set", "transcript=mended")
    found = line.run("dlq", "replay", "--all", "--dry-run", "--json").document
    assert (found["groups"][0]["edited"], found["will_fail_again"]) == (1, 1)
    assert "until the report is fixed" in line.run("dlq", "replay", "--all", "--dry-run").stdout
    assert "until the report is fixed" not in line.run("dlq", "replay", "c-1", "--dry-run").stdout


def test_a_preview_counts_links_that_have_ended_and_calls_that_are_not_dead(line: CommandLine) -> None:
    line.accept("c-1", artifact={"presignedUrlsExpiresAt": "2020-01-01T00:00:00Z"})
    line.bury("c-1")
    line.accept("c-2")
    line.deliver("c-2")
    found = line.run("dlq", "replay", "c-1", "c-2", "c-0", "--dry-run", "--json").document
    assert (found["letters"], found["not_dead"]) == (1, {"delivered": 1, "unknown": 1})
    assert found["audio_ended"] == 1


def test_without_a_terminal_and_without_yes_nothing_is_sent(line: CommandLine) -> None:
    line.bury_all("c-1", "c-2")
    ended = line.run("dlq", "replay", "--all")
    assert ended.exit_code == 2
    assert "Replay 2 dead letters? Not a terminal, so I can't ask for confirmation. Re-run with --yes." in ended.stderr
    assert line.snapshot().replays.selected == 0


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["c-1", "--all"],
        ["c-1", "--died-of", "http_422"],
        ["--all", "--rate", "fast"],
        ["--all", "--stop-at", "most"],
        ["--all", "--stop-at", "101%"],
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(line: CommandLine, arguments: list[str]) -> None:
    line.bury_all("c-1")
    assert line.run("dlq", "replay", *arguments, "--yes").exit_code == 2
    assert line.snapshot().replays.running == 0


def test_more_than_a_hundred_are_replayed_for_a_reason_only(line: CommandLine) -> None:
    line.bury_all(*HUNDRED_AND_ONE)
    ended = line.run("dlq", "replay", "--all", "--yes")
    assert ended.exit_code == 2
    assert "Replaying more than 100 reports needs a reason: add --reason TEXT." in ended.stderr
    replays = Replays(line.ledger, by="ada")
    with pytest.raises(ReplayRefused, match="needs a reason"):
        replays.create(replays.preview(Filter()))
    assert line.snapshot().replays.collecting == 0
    assert replay(line, "--all", "--reason", "Roark is back") == 1


def test_a_job_tells_who_why_and_what_became_of_each_report(line: CommandLine) -> None:
    line.bury_all("c-1", "c-2", "c-3", code="exhausted", reason="http_503", status=503)
    number = replay(line, "--all", "--reason", "Roark is back | <ticket 4711>", "--as", "ada", "--no-ramp")
    assert line.tick() == 3
    line.deliver("c-1")
    line.deliver("c-2")
    line.bury("c-3", message="call 12 is too long")
    line.tick()

    found = line.run("replay", "show", str(number), "--json").document
    assert (found["state"], found["by"], found["reason"]) == ("ended", "ada", "Roark is back | <ticket 4711>")
    assert (found["selected"], found["sent"], found["delivered"], found["failed"]) == (3, 3, 2, 1)
    assert found["failed_groups"] == [
        {"reason": "http_422", "status": 422, "message": "call # is too long", "count": 1}
    ]
    assert found["groups"][0]["count"] == 3
    ticket = line.run("replay", "show", str(number), "--markdown").stdout
    assert ticket.startswith(f"## Replay job {number}: done\n")
    assert "- **why**: Roark is back \\| &lt;ticket 4711>" in ticket
    assert "| 1 | http_422 | call # is too long |" in ticket
    told = line.run("replay", "show", str(number)).stdout
    assert "Next: roark-ingest dlq groups" in told
    (event,) = [event for event in line.entry("c-1").history if event.name == "replayed"]
    assert event.detail == {"by": "ada", "reason": "Roark is back | <ticket 4711>", "job": number}


def test_two_operators_that_mean_the_same_letters_send_each_once(line: CommandLine) -> None:
    line.bury_all("c-1", "c-2", "c-3")
    first = replay(line, "c-1", "c-2")
    second = line.run("dlq", "replay", "--all", "--dry-run", "--json").document
    assert (second["letters"], second["in_other_jobs"]) == (1, {str(first): 2})
    replay(line, "--all", "--no-ramp")
    ended = line.run("dlq", "replay", "--all", "--yes")
    assert ended.exit_code == 0
    assert f"Skipped 2 letters: already in replay job {first}" in ended.stdout
    for _ in range(4):
        line.tick()
        for one in line.ledger.run(delivery.claim(wanted=9, lease_ms=9000, listen_ms=0, most_bytes=10**9)).reports:
            delivered = delivery.Deliver(delivery.Held(one.call_id, one.token), "roark-1", b"{}")
            line.ledger.run(delivery.deliver([delivered], keep_payloads=False))
    for call_id in ("c-1", "c-2", "c-3"):
        assert [event.name for event in line.entry(call_id).history].count("replayed") == 1


def test_a_letter_that_was_taken_between_preview_and_job_is_left_out(line: CommandLine) -> None:
    line.bury_all("c-1", "c-2", "c-3")
    replays = Replays(line.ledger, by="ada")
    preview, late = replays.preview(Filter()), replays.preview(Filter())
    line.run("dlq", "discard", "c-1", "--yes")
    made = replays.create(preview)
    assert made.job
    assert (made.job.selected, made.left_out) == (2, {"discarded": 1})
    again = replays.create(late)
    assert (again.job, again.left_out) == (None, {"discarded": 1, f"job {made.job.number}": 2})
    assert len(line.run("replay", "list", "--json").documents) == 1


def test_nothing_dead_is_no_job(line: CommandLine) -> None:
    line.accept("c-1")
    ended = line.run("dlq", "replay", "c-1", "--yes")
    assert (ended.exit_code, ended.stdout.splitlines()[-1]) == (
        1,
        "Skipped 1 call: already queued.",
    )
    assert line.run("dlq", "replay", "--all", "--yes").exit_code == 0


def test_pausing_resuming_and_cancelling(line: CommandLine) -> None:
    line.bury_all(*(f"c-{number}" for number in range(8)))
    number = str(replay(line, "--all"))
    line.tick()
    assert line.run("replay", "resume", number).exit_code == 1
    assert line.run("replay", "pause", number, "--reason", "lunch", "--as", "ada").exit_code == 0
    assert line.tick() == 0
    paused = line.run("replay", "list", "--json").document
    assert (paused["state"], paused["last_change"]["by"], paused["last_change"]["why"]) == ("paused", "ada", "lunch")
    status = line.run("status")
    assert status.exit_code == 3
    assert "1 replay job is paused until someone resumes or cancels." in status.stdout
    assert line.run("status", "--json").document["replays"]["paused"] == 1
    assert line.run("replay", "resume", number).exit_code == 0
    cancelled = line.run("replay", "cancel", number)
    assert "Replay job 1 cancelled: 1 of 8 sent." in cancelled.stdout
    assert "7 reports stay in the dead letters." in cancelled.stdout
    assert line.snapshot().states[State.DEAD] == 7
    assert line.run("replay", "show", "99").exit_code == 1
    assert line.run("replay", "pause", "99").exit_code == 1
    actions = [deed["action"] for deed in line.run("log", "list", "--json").documents]
    assert set(actions) == {"replay", "replay-pause", "replay-resume", "replay-cancel"}


def test_a_start_delay_in_which_a_cancel_takes_all_back(line: CommandLine) -> None:
    line.bury_all("c-1", "c-2")
    number = str(replay(line, "--all", "--delay", "60"))
    assert line.tick() == 0
    assert line.run("replay", "show", number).stdout.splitlines()[0].startswith(f"job           {number}, starts in ")
    line.run("replay", "cancel", number)
    line.tick()
    found = line.run("replay", "show", number, "--json").document
    assert (found["state"], found["sent"], found["given_back"]) == ("ended", 0, 2)


def test_the_list_pages_through_what_has_ended(line: CommandLine) -> None:
    for number in range(3):
        line.bury_all(f"c-{number}")
        replay(line, f"c-{number}", "--reason", f"reason {number}")
        line.tick()
        line.deliver(f"c-{number}")
        line.tick()
    shown = line.run("replay", "list", "--limit", "2").stdout
    assert "reason 2" in shown
    assert "There are 1 older jobs. Next page: --offset 2" in shown
    (oldest,) = line.run("replay", "list", "--limit", "2", "--offset", "2", "--json").documents
    assert oldest["job"] == 1


def test_watching_an_ended_job_tells_what_became_of_it(line: CommandLine) -> None:
    line.bury_all("c-1")
    number = str(replay(line, "c-1"))
    line.tick()
    line.bury("c-1")
    line.tick()
    ended = line.run("replay", "show", number, "--follow")
    assert ended.exit_code == 3
    assert f"Replay job {number}: 1 of 1" in ended.stderr


def test_how_long_ended_jobs_are_kept_is_announced(line: CommandLine) -> None:
    line.bury_all("c-1")
    number = str(replay(line, "c-1"))
    line.run("replay", "cancel", number)
    line.tick()
    assert "kept until" not in line.run("replay", "show", number).stdout
    assert "kept until" in line.run("replay", "show", number, ROARK_INGEST_REPLAY_KEEP_DAYS="3").stdout


def test_no_phone_number_of_a_filter_gets_into_a_job(line: CommandLine) -> None:
    line.bury_all("c-1", message=f"customer {PHONE} is unknown")
    number = replay(line, "--text", PHONE, "--reason", f"asked for by {PHONE}")
    assert PHONE not in line.run("replay", "show", str(number), "--json").stdout
    stored = line.ledger.client.hgetall(line.ledger.calls.keys.replay_live)
    assert PHONE.encode() not in b" ".join([*stored, *stored.values()])


def test_a_job_with_a_rate_says_how_long_it_will_take(line: CommandLine) -> None:
    line.bury_all(*HUNDRED_AND_ONE)
    number = replay(line, "--all", "--reason", "slowly", "--rate", "60/min", "--no-ramp", "--stop-at", "5")
    found = line.run("replay", "show", str(number), "--json").document
    assert found["plan"] == {"ramp": [], "per_second": 1, "stop_share": 0.05, "step": 1}
    assert found["seconds_left"] == pytest.approx(101, abs=2)
    assert "1/s, no ramp; pauses if more than 5% fail" in line.run("replay", "show", str(number)).stdout

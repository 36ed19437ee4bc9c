"""The commands on a real Valkey: what they print, how they end, what they change."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import PHONE, TRANSCRIPT, CommandLine, report
from servers import Server

from roark_ledger.moves import delivery, intake, upkeep


@pytest.fixture
def line(valkey: Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    # Neither a `.env` beside the repository nor this machine's settings may take part.
    monkeypatch.chdir(tmp_path)
    for name in ("ROARK_API_BEARER_TOKEN", "ROARK_BASE_URL", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    made = CommandLine(valkey.url, prefix, tmp_path)
    yield made
    made.ledger.close()


# status


def test_status_of_an_empty_ledger_has_every_key_and_ends_with_0(line: CommandLine) -> None:
    ended = line.run("status", "--json")
    found = ended.document
    assert ended.exit_code == 0
    assert found["states"] == dict.fromkeys(
        ("ready", "uploading", "waiting", "delivered", "dead", "discarded", "expired", "erased"), 0
    )
    assert found["totals"] | {"accepted": 0, "duplicates": 0, "rejected": 0, "revisions": 0} == found["totals"]
    names = ("state", "reason", "by", "route", "since", "next", "in_flight_limit", "pace_per_second", "evidence")
    assert found["lane"] == dict.fromkeys(names) | {"state": "open"}
    assert found["backlog_gone_seconds"] == 0
    assert found["oldest_ready_seconds"] is None
    assert found["balanced"] is True
    assert found["todo"] == []


def test_status_counts_states_and_ages(line: CommandLine) -> None:
    line.accept("c-1", "c-2")
    line.deliver("c-1")
    found = line.run("status", "--json").document
    assert (found["states"]["ready"], found["states"]["delivered"], found["totals"]["accepted"]) == (1, 1, 2)
    assert 0 <= found["oldest_ready_seconds"] < 60


def test_status_with_dead_letters_says_what_to_do_and_ends_with_3(line: CommandLine) -> None:
    line.bury_all("c-1")
    ended = line.run("status")
    assert ended.exit_code == 3
    assert "1 report is a dead letter." in ended.stdout
    assert "Next: roark-ingest dlq groups" in ended.stdout


def test_status_of_a_lane_that_roark_stopped_says_why_and_ends_with_3(line: CommandLine) -> None:
    line.ledger.run(delivery.hold(by="roark", reason="http_401 Invalid token", gap_ms=5000, longest_gap_ms=9000))
    ended = line.run("status")
    assert ended.exit_code == 3
    assert "Roark rejected our token (401)." in ended.stdout
    lane = line.run("status", "--json").document["lane"]
    assert (lane["state"], lane["reason"], lane["by"]) == ("held", "http_401 Invalid token", "roark")
    assert lane["next"] > lane["since"]


def test_status_says_when_the_accounts_do_not_balance(line: CommandLine) -> None:
    line.accept("c-1")
    line.ledger.run(intake.tally({"accepted": 1}))
    ended = line.run("status")
    assert ended.exit_code == 3
    assert "NOT BALANCED" in ended.stdout
    assert "roark-ingest audit" in ended.stdout


# hold and resume


def test_hold_stops_the_lane_by_name_and_resume_opens_it(line: CommandLine) -> None:
    held = line.run("hold", "--reason", "maintenance", "--as", "ada", "--json").document
    assert held == {"lane": "held", "by": "ada", "reason": "maintenance", "changed": True}
    lane = line.snapshot().lane
    assert (lane.state, lane.by, lane.reason) == ("held", "ada", "maintenance")
    assert line.run("status").exit_code == 3
    assert line.run("resume", "--json").document == {"lane": "open", "changed": True, "ready": 0}
    assert line.run("resume", "--json").document["changed"] is False
    assert line.snapshot().lane.state == "open"


def test_a_hold_by_an_os_user_called_roark_is_still_by_hand(line: CommandLine) -> None:
    line.run("hold", "--as", "roark")
    assert line.snapshot().lane.by == "roark (by hand)"


def test_resume_wakes_a_worker_for_what_is_ready(line: CommandLine) -> None:
    broker = line.ledger.client
    line.accept("c-1")
    line.run("hold")
    broker.delete("roark")
    assert line.run("resume", "--json").document["ready"] == 1
    assert broker.llen("roark") == 1
    broker.delete("roark")


# why


def test_why_of_a_call_that_was_never_seen_says_so_and_ends_with_1(line: CommandLine) -> None:
    ended = line.run("why", "c-0")
    assert ended.exit_code == 1
    assert ended.stdout == ""
    assert "call c-0 is unknown" in ended.stderr
    as_json = line.run("why", "c-0", "--json")
    assert (as_json.exit_code, as_json.document) == (1, {"call_id": "c-0", "state": "unknown"})


def test_why_works_in_every_state(line: CommandLine) -> None:
    line.accept("c-1")
    ready = line.run("why", "c-1", "--json").document
    assert (ready["state"], ready["attempts"], ready["history"]) == ("ready", 0, [])
    assert ready["next"]["what"] == "A worker uploads it when its turn comes."

    line.defer("c-1", reason="http_503", message="Over capacity")
    waiting = line.run("why", "c-1", "--json").document
    assert (waiting["state"], waiting["attempts"], waiting["reason"]) == ("waiting", 1, "http_503")
    assert (
        waiting["history"][0] | {"attempt": 1, "status": 503, "message": "Over capacity", "duration_ms": 41}
        == (waiting["history"][0])
    )
    assert waiting["next"]["at"] > waiting["since"]
    assert waiting["explanation"]["side"] == "Roark"

    line.accept("c-2")
    line.claim("c-2")
    assert line.run("why", "c-2", "--json").document["state"] == "uploading"

    line.accept("c-3")
    line.deliver("c-3", "roark-77")
    delivered = line.run("why", "c-3", "--json").document
    assert (delivered["state"], delivered["roark_call_id"], delivered["explanation"]) == ("delivered", "roark-77", None)

    line.bury_all("c-4", message="endedAt is before startedAt", parameter="message.endedAt")
    dead = line.run("why", "c-4", "--json").document
    assert (dead["state"], dead["reason"], dead["explanation"]["replay"]) == ("dead", "http_422", "no")
    assert "message.endedAt" in dead["explanation"]["what"]

    line.run("dlq", "discard", "c-4", "--yes", "--as", "ada")
    discarded = line.run("why", "c-4", "--json").document
    assert discarded["state"] == "discarded"
    assert discarded["history"][-1] | {"event": "discarded", "by": "ada"} == discarded["history"][-1]
    assert discarded["next"]["command"] == "roark-ingest dlq restore c-4"

    line.run("erase", "c-4", "--yes")
    assert line.run("why", "c-4", "--json").document["state"] == "erased"
    for call_id in ("c-1", "c-2", "c-3", "c-4"):
        ended = line.run("why", call_id)
        assert (ended.exit_code, "Next: " in ended.stdout) == (0, True)


def test_why_of_a_ready_report_names_the_hold_that_it_waits_for(line: CommandLine) -> None:
    line.accept("c-1")
    line.run("hold", "--as", "ada", "--reason", "maintenance")
    assert "ada paused uploads: maintenance." in line.run("why", "c-1").stdout


def test_phone_numbers_in_what_roark_says_are_masked_everywhere(line: CommandLine) -> None:
    line.bury_all("c-1", message=f"customer {PHONE} is unknown\x1b[31m")
    for command in (["why", "c-1"], ["dlq", "show", "c-1"], ["dlq", "list"], ["dlq", "groups"]):
        for arguments in (command, [*command, "--json"]):
            printed = line.run(*arguments).stdout
            assert "is unknown" in printed
            assert PHONE not in printed
            assert TRANSCRIPT not in printed
            assert "\x1b" not in printed


# erase


def test_erase_asks_removes_and_refuses_what_comes_later(line: CommandLine) -> None:
    line.bury_all("c-1")
    assert line.run("erase", "c-1").exit_code == 2
    ended = line.run("erase", "c-1", "--yes", "--json")
    (call,) = ended.document["calls"]
    assert (call["state_before"], "payloads" in call["removed"]) == ("dead", True)
    assert line.run("enqueue", "-", "--json", stdin=report("c-1")).document["result"] == "erased"
    assert "was already erased" in line.run("erase", "c-1", "--yes").stdout
    assert "was unknown" in line.run("erase", "c-0", "--yes").stdout
    assert line.run("status", "--json").document["states"]["erased"] == 1


# doctor


def test_doctor_finds_a_good_server_and_tells_what_is_missing(line: CommandLine) -> None:
    secret = "token-that-nobody-sees"
    ended = line.run("doctor", "--json", ROARK_API_BEARER_TOKEN=secret, ROARK_BASE_URL="http://127.0.0.1:9")
    checks = {check["name"]: check for check in ended.document["checks"]}
    assert ended.exit_code == 0
    assert {name: check["level"] for name, check in checks.items()} == {
        "server": "OK",
        "durability": "OK",
        "eviction": "OK",
        "memory": "OK",
        "clock": "OK",
        "accepting": "OK",
        "broker": "OK",
        "workers": "WARN",
        "lane": "OK",
        "accounts": "OK",
        "rejected bin": "OK",
        "outage": "OK",
        "data dir": "OK",
        "token": "OK",
        "roark": "WARN",
        "roark account": "WARN",
        "vapi": "OK",
        "webhook": "OK",
    }
    assert all(check["mend"] for check in checks.values() if check["level"] != "OK")
    assert secret not in ended.stdout + ended.stderr


def test_doctor_without_a_token_ends_with_3_and_says_what_mends_it(line: CommandLine) -> None:
    ended = line.run("doctor", ROARK_BASE_URL="http://127.0.0.1:9")
    assert ended.exit_code == 3
    assert "FAIL  token" in ended.stdout
    assert "Set ROARK_API_BEARER_TOKEN" in ended.stdout


def test_doctor_examines_what_the_workers_run_with_and_says_where_its_shell_differs(line: CommandLine) -> None:
    facts = b'{"settings":{"ROARK_BASE_URL":"http://127.0.0.1:9"},"token":"1234abcd","version":"0.0"}'
    line.ledger.run(upkeep.note_crew("w-1", facts))
    ended = line.run("doctor", "--json", ROARK_BASE_URL="http://127.0.0.1:10")
    checks = {check["name"]: check for check in ended.document["checks"]}
    assert ended.exit_code == 3
    assert "ROARK_BASE_URL: http://127.0.0.1:9 on the workers, http://127.0.0.1:10 here" in checks["set-up"]["found"]
    assert "token: mark 1234abcd on the workers, none here" in checks["set-up"]["found"]
    assert (checks["token"]["level"], checks["roark"]["level"]) == ("OK", "FAIL")
    assert checks["roark"]["found"].startswith("http://127.0.0.1:9 is unreachable")


def test_doctor_without_redis_still_makes_the_other_checks(line: CommandLine, tmp_path: Path) -> None:
    ended = line.run(
        "doctor", "--json", ROARK_INGEST_REDIS_URL=f"unix://{tmp_path}/none.sock", ROARK_BASE_URL="http://127.0.0.1:9"
    )
    checks = {check["name"]: check["level"] for check in ended.document["checks"]}
    assert (ended.exit_code, checks["redis"], checks["token"], checks["webhook"]) == (3, "FAIL", "FAIL", "OK")


def test_doctor_names_a_setting_that_is_wrong(line: CommandLine) -> None:
    ended = line.run("doctor", ROARK_INGEST_DURABILITY="maybe", ROARK_BASE_URL="ftp://roark")
    assert ended.exit_code == 3
    assert "ROARK_INGEST_DURABILITY" in ended.stdout
    assert "ROARK_BASE_URL" in ended.stdout


# errors


def test_an_error_is_one_line_without_a_traceback(line: CommandLine, tmp_path: Path) -> None:
    gone = f"unix://{tmp_path}/none.sock"
    for command in (["status"], ["why", "c-1"], ["dlq", "list"], ["hold"], ["erase", "c-1", "--yes"]):
        ended = line.run(*command, ROARK_INGEST_REDIS_URL=gone)
        assert ended.exit_code == 1
        assert ended.stderr.startswith("roark-ingest: Redis is unreachable")
        assert "roark-ingest doctor" in ended.stderr
        assert len(ended.stderr.splitlines()) == 1
    ended = line.run("status", ROARK_INGEST_DURABILITY="maybe")
    assert (ended.exit_code, len(ended.stderr.splitlines())) == (1, 1)
    assert "ROARK_INGEST_DURABILITY" in ended.stderr


def test_no_redis_at_all_says_how_to_get_one(line: CommandLine) -> None:
    ended = line.run("status", ROARK_INGEST_REDIS_URL="")
    assert ended.exit_code == 1
    assert "roark-ingest up" in ended.stderr

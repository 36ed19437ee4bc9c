"""The commands on a real Valkey: what they print, how they end, what they change."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import PHONE, TRANSCRIPT, CommandLine, report
from servers import Server

from roark_producer import operations
from roark_producer.packing import unpack


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
        ("ready", "uploading", "waiting", "delivered", "dead", "discarded", "erased"), 0
    )
    assert found["totals"] | {"accepted": 0, "duplicates": 0, "rejected": 0, "revisions": 0} == found["totals"]
    assert found["lane"] == {"state": "open", "reason": None, "by": None, "since": None, "next": None}
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
    line.ledger.run(operations.hold(by="roark", reason="http_401 Invalid token", gap_ms=5000, longest_gap_ms=9000))
    ended = line.run("status")
    assert ended.exit_code == 3
    assert "Roark does not know our token (401)." in ended.stdout
    lane = line.run("status", "--json").document["lane"]
    assert (lane["state"], lane["reason"], lane["by"]) == ("held", "http_401 Invalid token", "roark")
    assert lane["next"] > lane["since"]


def test_status_says_when_the_accounts_do_not_balance(line: CommandLine) -> None:
    line.accept("c-1")
    line.ledger.run(operations.tally({"accepted": 1}))
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
    assert "call c-0 was never seen" in ended.stderr
    as_json = line.run("why", "c-0", "--json")
    assert (as_json.exit_code, as_json.document) == (1, {"call_id": "c-0", "state": "unknown"})


def test_why_works_in_every_state(line: CommandLine) -> None:
    line.accept("c-1")
    ready = line.run("why", "c-1", "--json").document
    assert (ready["state"], ready["attempts"], ready["history"]) == ("ready", 0, [])
    assert ready["next"]["what"] == "A worker uploads it as soon as it is its turn."

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
    assert (dead["state"], dead["reason"], dead["explanation"]["replay"]) == ("dead", "http_422", "does not help")
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
    assert "ada put the lane on hold: maintenance." in line.run("why", "c-1").stdout


def test_phone_numbers_in_what_roark_says_are_masked_everywhere(line: CommandLine) -> None:
    line.bury_all("c-1", message=f"customer {PHONE} is unknown\x1b[31m")
    for command in (["why", "c-1"], ["dlq", "show", "c-1"], ["dlq", "list"], ["dlq", "groups"]):
        for arguments in (command, [*command, "--json"]):
            printed = line.run(*arguments).stdout
            assert "is unknown" in printed
            assert PHONE not in printed
            assert TRANSCRIPT not in printed
            assert "\x1b" not in printed


# dlq


def test_dlq_list_pages_from_the_oldest_on(line: CommandLine) -> None:
    line.bury_all("c-1", "c-2", "c-3")
    assert [letter["call_id"] for letter in line.run("dlq", "list", "--json").documents] == ["c-1", "c-2", "c-3"]
    (second,) = line.run("dlq", "list", "--json", "--limit", "1", "--offset", "1").documents
    assert (second["call_id"], second["reason"], second["status"], second["attempts"]) == ("c-2", "http_422", 422, 1)
    assert "2 to 2 of 3. The next: --offset 2" in line.run("dlq", "list", "--limit", "1", "--offset", "1").stdout


def test_dlq_list_of_nothing_says_so(line: CommandLine) -> None:
    assert line.run("dlq", "list").stdout == "No dead reports.\n"
    assert line.run("dlq", "list", "--json").stdout == ""
    assert line.run("dlq", "groups").stdout == "No dead letters.\n"


def test_dlq_groups_folds_ids_and_numbers(line: CommandLine) -> None:
    line.bury_all("c-1", message="call 01a19b7d-46d4 took 812.5 s")
    line.bury_all("c-2", message="call 77fe0b7d-9a41 took 40 s")
    line.bury_all("c-3", reason="http_400", status=400, message="other")
    first, second = line.run("dlq", "groups", "--json").documents
    assert (first["count"], first["reason"], first["message"], first["example"]) == (
        2,
        "http_422",
        "call # took # s",
        "c-2",
    )
    assert (second["count"], second["reason"], second["first"]) == (1, "http_400", second["last"])
    assert first["explanation"]["side"] == "this report"


def test_dlq_show_prints_the_payload_only_when_it_is_asked_for(line: CommandLine) -> None:
    line.bury_all("c-1")
    assert TRANSCRIPT not in line.run("dlq", "show", "c-1").stdout
    assert line.run("dlq", "show", "c-1", "--payload").stdout.encode() == report("c-1") + b"\n"
    found = line.run("dlq", "show", "c-1", "--payload", "--json").document
    assert (found["state"], found["payload"]["transcript"]) == ("dead", TRANSCRIPT)


def test_dlq_show_of_a_live_report_points_to_why(line: CommandLine) -> None:
    line.accept("c-1")
    ended = line.run("dlq", "show", "c-1")
    assert ended.exit_code == 1
    assert "c-1 is no dead letter, it is ready" in ended.stderr


def test_dlq_replay_sends_again_and_wakes_a_worker(line: CommandLine) -> None:
    line.bury_all("c-1", "c-2")
    line.ledger.client.delete("roark")
    ended = line.run("dlq", "replay", "c-1", "--as", "ada", "--json")
    assert (ended.exit_code, ended.documents) == (0, [{"call_id": "c-1", "result": "replayed"}])
    assert (line.state("c-1"), line.state("c-2")) == ("ready", "dead")
    assert line.ledger.client.llen("roark") == 1
    assert line.entry("c-1").history[-1].detail == {"by": "ada"}


def test_dlq_replay_of_what_is_not_dead_says_what_it_is_and_ends_with_1(line: CommandLine) -> None:
    line.bury_all("c-1")
    line.run("dlq", "replay", "c-1")
    ended = line.run("dlq", "replay", "c-1", "c-0")
    assert ended.exit_code == 1
    assert "call c-1 was not replayed: it is ready." in ended.stderr
    assert "call c-0 was not replayed: it was never seen." in ended.stderr


def test_dlq_replay_all_asks_and_without_a_terminal_wants_yes(line: CommandLine) -> None:
    line.bury_all("c-1", "c-2")
    ended = line.run("dlq", "replay", "--all")
    assert ended.exit_code == 2
    assert "Replay 2 dead letters? Nobody can be asked here: add --yes." in ended.stderr
    assert line.snapshot().states["dead"] == 2
    assert line.run("dlq", "replay", "--all", "--yes").stdout == "2 reports replayed.\n"
    assert line.snapshot().states["dead"] == 0
    assert line.run("dlq", "replay", "--all", "--yes").exit_code == 0


@pytest.mark.parametrize("arguments", [[], ["c-1", "--all"]])
def test_dlq_replay_wants_calls_or_all(line: CommandLine, arguments: list[str]) -> None:
    assert line.run("dlq", "replay", *arguments).exit_code == 2


def test_dlq_discard_asks_and_restore_brings_back(line: CommandLine) -> None:
    line.bury_all("c-1")
    assert line.run("dlq", "discard", "c-1").exit_code == 2
    assert line.run("dlq", "discard", "c-1", "--yes").exit_code == 0
    assert [letter["call_id"] for letter in line.run("dlq", "list", "--discarded", "--json").documents] == ["c-1"]
    assert line.run("dlq", "replay", "c-1").exit_code == 1
    assert line.run("dlq", "restore", "c-1").stdout == "1 report restored.\n"
    assert line.state("c-1") == "dead"


@pytest.mark.parametrize("name", ["dead.ndjson", "dead.ndjson.gz", "dead.ndjson.zst"])
def test_dead_letters_travel_to_another_ledger_byte_for_byte(
    line: CommandLine, valkey: Server, tmp_path: Path, name: str
) -> None:
    properties = b'{"tenant":"acme","big":123456789012345678901234567890}'
    line.accept("c-1", properties=properties, odd="\u2028")
    line.bury("c-1", message="bad")
    line.bury_all("c-2")
    exported = line.run("dlq", "export", name, "--json").document
    assert (exported["exported"], exported["left_out"]) == (2, 0)
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    there = CommandLine(valkey.url, f"{line.environment['ROARK_INGEST_PREFIX']}-there", tmp_path)
    assert [one["result"] for one in there.run("dlq", "import", name, "--json").documents] == ["accepted"] * 2
    assert unpack(there.entry("c-1").packed) == unpack(line.entry("c-1").packed)
    assert unpack(there.entry("c-1").packed).properties == properties
    assert [one["result"] for one in there.run("dlq", "import", name, "--json").documents] == ["duplicate"] * 2
    assert line.run("dlq", "import", name).exit_code == 0
    assert line.state("c-1") == "dead"
    there.ledger.close()


def test_dlq_export_replaces_no_file_unless_it_is_forced(line: CommandLine, tmp_path: Path) -> None:
    line.bury_all("c-1")
    (tmp_path / "dead.ndjson").write_text("mine")
    assert line.run("dlq", "export", "dead.ndjson").exit_code == 2
    assert (tmp_path / "dead.ndjson").read_text() == "mine"
    assert line.run("dlq", "export", "dead.ndjson", "--force").exit_code == 0
    assert json.loads((tmp_path / "dead.ndjson").read_bytes())["payload"] == json.loads(report("c-1"))
    assert [path.name for path in tmp_path.iterdir()] == ["dead.ndjson"]


def test_dlq_export_to_standard_output_holds_nothing_but_letters(line: CommandLine) -> None:
    line.bury_all("c-1")
    ended = line.run("dlq", "export", "-", "--json")
    assert ended.document["call_id"] == "c-1"


def test_dlq_import_of_something_else_is_told_by_line(line: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "wrong.ndjson").write_bytes(report("c-1") + b"\nnonsense\n")
    ended = line.run("dlq", "import", "wrong.ndjson")
    assert ended.exit_code == 3
    assert "wrong.ndjson:1: rejected: not an exported dead letter: payload: is missing" in ended.stderr
    assert "wrong.ndjson:2: rejected" in ended.stderr
    assert line.snapshot().rejected_kept == 0


# erase


def test_erase_asks_removes_and_refuses_what_comes_later(line: CommandLine) -> None:
    line.bury_all("c-1")
    assert line.run("erase", "c-1").exit_code == 2
    ended = line.run("erase", "c-1", "--yes", "--json")
    assert ended.document == {"call_id": "c-1", "result": "erased", "state_before": "dead"}
    assert line.run("enqueue", "-", "--json", stdin=report("c-1")).document["result"] == "erased"
    assert "was erased before" in line.run("erase", "c-1", "--yes").stdout
    assert "never seen" in line.run("erase", "c-0", "--yes").stdout
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
        "workers": "WARN",
        "lane": "OK",
        "accounts": "OK",
        "data dir": "OK",
        "token": "OK",
        "roark": "WARN",
        "webhook": "OK",
    }
    assert all(check["mend"] for check in checks.values() if check["level"] != "OK")
    assert secret not in ended.stdout + ended.stderr


def test_doctor_without_a_token_ends_with_3_and_says_what_mends_it(line: CommandLine) -> None:
    ended = line.run("doctor", ROARK_BASE_URL="http://127.0.0.1:9")
    assert ended.exit_code == 3
    assert "FAIL  token" in ended.stdout
    assert "Set ROARK_API_BEARER_TOKEN" in ended.stdout


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
        assert ended.stderr.startswith("roark-ingest: Redis cannot be reached")
        assert "roark-ingest doctor" in ended.stderr
        assert len(ended.stderr.splitlines()) == 1
    ended = line.run("status", ROARK_INGEST_DURABILITY="maybe")
    assert (ended.exit_code, len(ended.stderr.splitlines())) == (1, 1)
    assert "ROARK_INGEST_DURABILITY" in ended.stderr


def test_no_redis_at_all_says_how_to_get_one(line: CommandLine) -> None:
    ended = line.run("status", ROARK_INGEST_REDIS_URL="")
    assert ended.exit_code == 1
    assert "roark-ingest up" in ended.stderr

"""`roark-ingest erase` on a real Valkey: by call and by phone number, from everywhere, certified, for good."""

import hashlib
import json
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from commands import PHONE, TRANSCRIPT, CommandLine, Ended, report
from pipeline import wait_until
from servers import Server, running

from roark_ledger.ids import CallId
from roark_ledger.ledger import Ledger
from roark_ledger.moves import desk, intake
from roark_ledger.moves.intake import Acceptable
from roark_ledger.packing import pack
from roark_ledger.records.logbook import Action, doer
from roark_ledger.server.connection import connect
from roark_ops.access import Access
from roark_ops.desk.logbook import Logbook, Wanted
from roark_ops.erasing.eraser import Eraser
from roark_ops.erasing.logbook import clean_logbook
from roark_ops.erasing.numbers import PhoneNumber
from roark_ops.erasing.searching import Sought
from roark_producer.disk.frames import Spooled
from roark_producer.disk.segments import pending
from roark_producer.disk.spool import Spool
from roark_producer.settings import IngestSettings
from roark_sandbox.options import SandboxOptions
from roark_sandbox.server import background

OTHER = "+15550109999"


@pytest.fixture
def line(valkey: Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    monkeypatch.chdir(tmp_path)
    made = CommandLine(valkey.url, prefix, tmp_path)
    yield made
    made.ledger.close()


def of_other(call_id: str) -> bytes:
    return report(call_id, call={"id": call_id, "customer": {"number": OTHER}})


def accept_other(line: CommandLine, *call_ids: str) -> None:
    for call_id in call_ids:
        assert line.run("enqueue", "-", "--json", stdin=of_other(call_id)).document["result"] == "accepted"


def everything(line: CommandLine) -> bytes:
    """All that lies in the ledger but the logbook, unpacked where it is packed."""
    client, keys = line.ledger.client, line.ledger.calls.keys
    found = []
    for key in keys.in_order():
        match client.type(key):
            case b"hash":
                for name, value in client.hgetall(key).items():
                    packed = value.split(b" ", 2)[2] if key in {keys.besides, keys.revisions} else value
                    found += [name, _unpacked(packed)]
            case b"zset":
                found += client.zrange(key, 0, -1)
            case b"set":
                found += client.smembers(key)
            case b"list":
                found += client.lrange(key, 0, -1)
    return b"\n".join(found)


def _unpacked(value: bytes) -> bytes:
    start = value.find(b"\x28\xb5\x2f\xfd")
    if start < 0:
        return value
    import zstandard

    return value + zstandard.ZstdDecompressor().decompress(value[start:])


def spool_of(line: CommandLine, *bodies: bytes) -> Path:
    folder = line.folder / "data" / "spool"
    spool = Spool(folder, most_bytes=10**9)
    for body in bodies:
        spool.append([Spooled(body, {}, 1)])
    spool.seal()
    return folder


def test_a_named_call_is_removed_from_everywhere_and_stays_away(line: CommandLine) -> None:
    line.bury_all("c-1")
    unusable = json.dumps({"type": "end-of-call-report", "call": {"uuid": "c-1"}}).encode()
    line.run("enqueue", "--keep-rejected", "-", stdin=unusable)
    folder = spool_of(line, report("c-1"), of_other("c-2"))
    assert b"c-1" in everything(line)

    ended = line.run("erase", "c-1", "--spool", str(folder), "--yes", "--as", "ada", "--json")

    assert ended.exit_code == 0
    assert b"c-1" not in everything(line)
    assert pending(folder).reports == 1
    certificate = ended.document
    assert certificate["by"] == "ada"
    (call,) = certificate["calls"]
    assert (call["state_before"], call["removed"]) == ("dead", ["place: dead", "records", "payloads", "histories"])
    assert len(certificate["rejected"]) == 1
    assert certificate["spool"] == {"requests": 1, "files": 1, "busy_files": 0, "unread_bytes": 0}
    assert line.run("enqueue", "-", "--json", stdin=report("c-1")).document["result"] == "erased"
    line.run("enqueue", "--keep-rejected", "-", stdin=unusable)
    assert line.snapshot().rejected_kept == 0, "nor does the rejected one come back"


def test_an_import_does_not_bring_it_back(line: CommandLine) -> None:
    line.bury_all("c-1")
    line.run("dlq", "export", "dead.ndjson")
    line.run("erase", "c-1", "--yes")

    (receipt,) = line.run("dlq", "import", "dead.ndjson", "--json").documents

    assert receipt["result"] == "erased"
    assert b"c-1" not in everything(line)


@pytest.fixture
def crowd(line: CommandLine) -> CommandLine:
    """One person's reports in every place that keeps a payload, and another person's beside them."""
    accept_other(line, "other-ready")
    line.deliver("other-ready")
    line.bury_all("c-dead", "c-discarded")
    line.run("dlq", "discard", "c-discarded", "--yes")
    line.accept("c-waiting")
    line.defer("c-waiting")
    accept_other(line, "c-revised")
    line.deliver("c-revised")
    line.accept("c-revised")
    accept_other(line, "c-beside")
    line.claim("c-beside")
    line.accept("c-beside")
    line.accept("c-ready")
    packed = pack(of_other("c-property"), b'{"customer_phone":"' + PHONE.encode() + b'"}')
    whole = Acceptable(CallId("c-property"), "print", packed)
    line.ledger.run(intake.accept([whole], revisions="record", per_wakeup=64))
    line.ledger.client.hset(line.ledger.calls.keys.originals, "c-edited", pack(report("c-edited")))
    accept_other(line, "c-edited", "other-2")
    unusable = json.dumps({"type": "end-of-call-report", "customer": {"number": PHONE}}).encode()
    line.run("enqueue", "--keep-rejected", "-", stdin=unusable)
    return line


THEIRS = {"c-dead", "c-discarded", "c-waiting", "c-revised", "c-beside", "c-ready", "c-property", "c-edited"}


def test_a_dry_run_lists_the_calls_of_a_number_and_changes_nothing(crowd: CommandLine) -> None:
    before = everything(crowd)

    ended = crowd.run("erase", "--phone", "+1 555 010 1234", "--dry-run", "--json")

    assert {found["call_id"] for found in ended.documents} - {None} == THEIRS
    assert {found["in"] for found in ended.documents} == {
        "payloads",
        "besides",
        "revisions",
        "originals",
        "rejected",
    }
    assert {field for found in ended.documents for field in found["fields"]} == {
        "call.customer.number",
        "customer.number",
        "properties.customer_phone",
    }
    assert sorted(everything(crowd).split(b"\n")) == sorted(before.split(b"\n"))
    assert "8 calls found. Nothing was changed." in crowd.run("erase", "--phone", PHONE, "--dry-run").stdout


def test_a_persons_calls_are_found_by_number_and_erased_and_nobody_elses(crowd: CommandLine) -> None:
    folder = spool_of(crowd, report("c-spooled"), of_other("other-3"))
    assert crowd.run("erase", "--phone", PHONE).exit_code == 2, "nobody can be asked"

    ended = crowd.run("erase", "--phone", PHONE, "--spool", str(folder), "--yes", "--json")

    assert ended.exit_code == 0
    assert len(ended.document["calls"]) == len(THEIRS) + 1
    left = everything(crowd)
    assert PHONE.encode() not in left
    assert not [call_id for call_id in THEIRS if call_id.encode() in left]
    assert (crowd.state("other-ready"), crowd.state("other-2")) == ("delivered", "ready")
    assert crowd.snapshot().balanced
    assert crowd.run("audit").exit_code == 0
    for call_id in (*THEIRS, "c-spooled"):
        assert crowd.run("enqueue", "-", "--json", stdin=report(call_id)).document["result"] == "erased"
    assert pending(folder).reports == 1


def test_the_certificate_says_that_a_number_finds_no_delivered_report(crowd: CommandLine) -> None:
    by_number, by_id = (crowd.run("erase", *what, "--yes", "--json") for what in (("--phone", PHONE), ("other-2",)))
    (place,) = [each for each in by_number.document["places"] if each["place"] == "delivered calls"]
    assert place["became"] == "not looked at"
    assert "Their reports (1) are no longer kept here" in place["why"]
    assert not [each for each in by_id.document["places"] if each["place"] == "delivered calls"]


def test_the_certificate_names_nobody(crowd: CommandLine) -> None:
    ended = crowd.run(
        "erase", "--phone", PHONE, "--yes", "--as", f"ada {PHONE}", "--reason", f"ticket 4711 of {PHONE}", "--json"
    )
    told = crowd.run("erase", "c-ready", "--yes")

    for text in (ended.stdout, told.stdout):
        assert PHONE not in text
        assert TRANSCRIPT not in text
        assert not [call_id for call_id in THEIRS if call_id in text]
    assert "was already erased" in told.stdout
    assert ended.document["reason"] == "ticket 4711 of ***"
    assert ended.document["counts"]["removed"]["payloads"] == 7
    assert hashlib.sha1(b"c-ready").hexdigest() not in ended.stdout, "without the key nobody can tell whose hash it is"


def test_each_erasure_is_in_the_log_by_its_tombstone(line: CommandLine) -> None:
    line.bury_all("c-1")
    certificate = line.run("erase", "c-1", "--yes", "--as", "ada", "--reason", "ticket 4711", "--json").document

    (deed,) = line.run("log", "list", "--action", "erase", "--json").documents
    assert deed["calls"] == [certificate["calls"][0]["tombstone"]]
    assert (deed["by"], deed["reason"]) == ("ada", "ticket 4711")
    assert deed["about"] == {"certificate": certificate["certificate"]}


def test_a_file_that_a_living_webhook_writes_is_told_and_left_alone(line: CommandLine) -> None:
    folder = line.folder / "data" / "spool"
    living = Spool(folder, most_bytes=10**9)
    living.append([Spooled(report("c-1"), {}, 1)])

    ended = line.run("erase", "c-1", "--spool", str(folder), "--yes", "--json")

    assert ended.exit_code == 3
    assert ended.document["spool"]["busy_files"] == 1
    living.seal()
    assert line.run("erase", "c-1", "--spool", str(folder), "--yes", "--json").document["spool"]["requests"] == 1
    assert pending(folder).reports == 0


@pytest.mark.parametrize(
    "arguments",
    [(), ("c-1", "--phone", PHONE), ("--phone", "555"), ("c-1", "--spool", "nowhere"), ("c-1", "--dry-run")],
    ids=["nothing", "both", "no number", "no folder", "named and dry"],
)
def test_what_cannot_be_meant_is_refused(line: CommandLine, arguments: tuple[str, ...]) -> None:
    assert line.run("erase", *arguments, "--yes").exit_code == 2


def test_a_search_survives_a_restart_of_the_server_and_misses_nothing(prefix: str, tmp_path: Path) -> None:
    with running() as server:
        line = CommandLine(server.url, prefix, tmp_path)
        names = {f"c-{number}" for number in range(300)}
        line.accept(*names)
        access = Access(IngestSettings(_env_file=None, redis_url=server.url, prefix=prefix))
        search = Eraser(access, by="ada", sought=Sought((PhoneNumber.read(PHONE),))).find()
        found = {next(search).call_id for _ in range(40)}

        server.kill()
        back = threading.Timer(0.5, server.start)
        back.start()
        found |= {one.call_id for one in search}
        back.join()

        assert found == names
        line.ledger.close()


def test_an_erasure_that_is_interrupted_says_how_far_it_came_and_is_completed_by_the_next(line: CommandLine) -> None:
    names = [f"c-{number}" for number in range(200)]
    line.accept(*names)
    running_command = line.process("erase", "--phone", PHONE, "--yes")
    wait_until(lambda: line.snapshot().total("erased") > 3, "some are erased")
    running_command.send_signal(signal.SIGINT)
    _, stderr = running_command.communicate(timeout=60)

    erased = line.snapshot().total("erased")
    assert running_command.returncode == 130
    assert b"of 200 calls erased" in stderr
    assert erased < 200
    assert len(line.run("log", "list", "--action", "erase", "--limit", "999", "--json").documents) == erased
    assert line.run("erase", "--phone", PHONE, "--yes", "--json").document["counts"]["calls"] == 200 - erased


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    with background(SandboxOptions(port=0, token="roark-token", vapi_key="vapi-key")) as url:
        yield url


def at_both(line: CommandLine, url: str, call_id: str) -> str:
    """Have a call at Vapi, delivered to Roark; return Roark's id."""
    with httpx.Client(base_url=url, trust_env=False, headers={"authorization": "Bearer roark-token"}) as client:
        call = {"id": call_id, "status": "ended", "createdAt": datetime.now(UTC).isoformat()}
        client.put("/_sandbox/vapi/calls", json=[call]).raise_for_status()
        body = {"vapiEndOfCallReportPayload": json.loads(report(call_id))}
        roark_id: str = client.post("/v1/vapi/call", json=body).raise_for_status().json()["data"]["callId"]
    line.accept(call_id)
    line.deliver(call_id, roark_id)
    return roark_id


def keys_of(url: str) -> dict[str, str]:
    return {
        "ROARK_BASE_URL": url,
        "ROARK_API_BEARER_TOKEN": "roark-token",
        "VAPI_BASE_URL": url,
        "VAPI_API_KEY": "vapi-key",
    }


def status(url: str, path: str, key: str) -> int:
    return httpx.get(url + path, headers={"authorization": f"Bearer {key}"}, trust_env=False).status_code


def became(ended: Ended) -> dict[str, tuple[str, str]]:
    return {one["place"]: (one["became"], one["what"] or one["why"]) for one in ended.document["places"]}


def test_roark_hides_and_vapi_erases_a_call_where_that_is_asked_for(line: CommandLine, elsewhere: str) -> None:
    roark_id = at_both(line, elsewhere, "c-elsewhere")

    ended = line.run("erase", "c-elsewhere", "--also-roark", "--also-vapi", "--yes", "--json", **keys_of(elsewhere))

    assert ended.exit_code == 0
    assert became(ended)["Roark"] == ("hidden", "1 calls hidden")
    assert became(ended)["Vapi"] == ("done", "1 calls erased")
    assert status(elsewhere, f"/v1/call/{roark_id}", "roark-token") == 404
    assert status(elsewhere, "/call/c-elsewhere", "vapi-key") == 404
    again = line.run("erase", "c-elsewhere", "--also-roark", "--also-vapi", "--yes", "--json", **keys_of(elsewhere))
    assert became(again)["Vapi"][0] == "done", "what is gone there is no failure"


def test_what_roark_or_vapi_refuse_is_left_with_the_reason_and_erased_here(line: CommandLine, elsewhere: str) -> None:
    at_both(line, elsewhere, "c-refused")
    wrong = keys_of(elsewhere) | {"VAPI_API_KEY": "wrong"}

    ended = line.run("erase", "c-refused", "--also-roark", "--also-vapi", "--yes", "--json", **wrong)

    assert ended.exit_code == 3
    vapi = next(one for one in ended.document["places"] if one["place"] == "Vapi")
    assert vapi["became"] == "left"
    assert vapi["why"].startswith("Run this again")
    assert "status 401" in vapi["why"]
    assert became(ended)["Roark"][0] == "hidden"
    assert line.state("c-refused") == "erased"
    assert line.run("erase", "c-refused", "--also-vapi", "--yes", **keys_of(elsewhere)).exit_code == 0


def test_without_a_key_nothing_is_erased_at_all(line: CommandLine) -> None:
    line.bury_all("c-1")
    assert line.run("erase", "c-1", "--also-vapi", "--yes").exit_code == 1
    assert line.state("c-1") == "dead"


def test_a_number_need_not_stand_on_the_command_line(line: CommandLine) -> None:
    line.accept("c-1", "c-2")
    listed = line.run("erase", "--phone", "-", "--dry-run", "--json", stdin=b"+1 (555) 010-1234\n").documents
    assert {one["call_id"] for one in listed} == {"c-1", "c-2"}
    (line.folder / "numbers").write_text("555 010 1234\n\n555 010 9999\n")
    listed = line.run("erase", "--phone-file", "numbers", "--region", "us", "--dry-run", "--json").documents
    assert len(listed) == 2
    for arguments in (("--phone-file", "numbers"), ("--phone-file", "nowhere"), ("--phone", "-")):
        ended = line.run("erase", *arguments, "--yes")
        assert ended.exit_code == 2
        assert "555 010" not in ended.stderr


def test_what_only_mentions_a_number_stays_and_is_told_until_it_is_asked_for(line: CommandLine) -> None:
    line.accept("c-is")
    accept_other(line, "c-other")
    said = report("c-mentions", call={"id": "c-mentions"}, transcript=f"ring {PHONE}")
    line.run("enqueue", "-", stdin=said)

    ended = line.run("erase", "--phone", PHONE, "--yes", "--json")

    assert "1 other report only mention it" in ended.stderr
    assert became(ended)["mentions"] == ("left", "1 report only mention it: --mentions erases them.")
    assert (line.state("c-is"), line.state("c-mentions"), line.state("c-other")) == ("erased", "ready", "ready")
    assert became(line.run("erase", "--phone", PHONE, "--mentions", "--yes", "--json"))["reports"][0] == "done"
    assert (line.state("c-mentions"), line.state("c-other")) == ("erased", "ready")


def test_a_run_that_was_killed_is_caught_up_by_the_next_in_logbook_and_logs(line: CommandLine) -> None:
    line.bury_all("c-1", "c-2")
    line.run("dlq", "discard", "c-1", "--yes", "--reason", "Marie asked")
    (line.folder / "data" / "logs").mkdir(parents=True)
    log = line.folder / "data" / "logs" / "worker.log"
    log.write_text(
        '12:00 info buried call_id=c-1\n{"action": "buried", "call_id": "c-1"}\n12:01 info buried call_id=c-2\n'
    )
    # What a run leaves that dies behind the script.
    line.ledger.run(desk.erase("c-1", key=b"k" * 32, who=doer("ada")))

    line.run("erase", "c-3", "--yes")

    (deed,) = line.run("log", "list", "--action", "discard", "--json").documents
    assert (len(deed["calls"][0]), deed["reason"]) == (40, "***")
    assert "c-1" not in log.read_text()
    assert "call_id=c-2" in log.read_text()


def test_a_command_says_which_copies_of_the_servers_files_are_left(line: CommandLine) -> None:
    line.accept("c-1")
    copy = line.folder / "data" / "valkey-before-repair-20260101"
    copy.mkdir(parents=True)
    assert became(line.run("erase", "c-1", "--yes", "--json"))[str(copy)] == (
        "left",
        "A copy of the server's files: delete it.",
    )


def test_the_logbook_is_written_anew_while_others_write_to_it(line: CommandLine) -> None:
    line.bury_all("c-1")
    for number in range(250):
        line.ledger.run(desk.log_deed(Action.REPAIR, who=doer("ada", reason=f"line {number}"), calls=["c-1"]))
    line.ledger.run(desk.erase("c-1", key=b"k" * 32, who=doer("ada")))
    stop, written = threading.Event(), []

    def write() -> None:
        with connect(line.environment["ROARK_INGEST_REDIS_URL"]) as client:
            other = Ledger(client, prefix=line.environment["ROARK_INGEST_PREFIX"])
            while not stop.wait(0.002):
                written.append(other.run(desk.log_deed(Action.REPAIR, who=doer("bo"))))

    writer = threading.Thread(target=write)
    writer.start()
    assert clean_logbook(line.ledger, Sought(), ["c-1"]) == 250
    stop.set()
    writer.join()

    deeds = list(Logbook(line.ledger).oldest(Wanted()))
    assert [deed.place for deed in deeds if deed.by == "bo"] == written
    assert len(deeds) == 251 + len(written)
    assert [deed.place for deed in deeds] == sorted(
        (deed.place for deed in deeds), key=lambda p: [*map(int, p.split("-"))]
    )
    assert not any("c-1" in deed.calls for deed in deeds)
    assert {deed.reason for deed in deeds if deed.by == "ada"} == {"***", ""}
    assert clean_logbook(line.ledger, Sought(), ["c-1"]) == 0


def test_of_two_that_write_the_logbook_anew_one_gives_way(line: CommandLine) -> None:
    for number in range(5):
        line.ledger.run(desk.log_deed(Action.REPAIR, who=doer("ada", reason=f"line {number}")))
    first = [deed.place for deed in line.ledger.run(desk.deeds_page(most=2))]
    assert line.ledger.run(desk.copy_deeds(after="", most=2)) == (2, first[-1])
    assert line.ledger.run(desk.swap_deeds(first[-1])) is False, "three lines are not copied yet"
    assert line.ledger.run(desk.copy_deeds(after="", most=1)) == (1, first[0])
    assert line.ledger.run(desk.copy_deeds(after=first[-1], most=2))[0] == -1

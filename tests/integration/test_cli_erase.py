"""`roark-ingest erase` on a real Valkey: by call and by phone number, from everywhere, certified, for good."""

import hashlib
import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import PHONE, TRANSCRIPT, CommandLine, report
from pipeline import wait_until
from servers import Server, running

from roark_ledger.ids import CallId
from roark_ledger.moves import intake
from roark_ledger.moves.intake import Acceptable
from roark_ledger.packing import pack
from roark_ops.access import Access
from roark_ops.desk.erasing import Eraser
from roark_producer.disk.frames import Spooled
from roark_producer.disk.segments import pending
from roark_producer.disk.spool import Spool
from roark_producer.settings import IngestSettings

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
    assert everything(crowd) == before
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


def test_the_certificate_names_nobody(crowd: CommandLine) -> None:
    ended = crowd.run("erase", "--phone", PHONE, "--yes", "--as", f"ada {PHONE}", "--reason", "ticket 4711", "--json")
    told = crowd.run("erase", "c-ready", "--yes")

    for text in (ended.stdout, told.stdout):
        assert PHONE not in text
        assert TRANSCRIPT not in text
        assert not [call_id for call_id in THEIRS if call_id in text]
    assert "was already erased" in told.stdout
    assert ended.document["reason"] == "ticket 4711"
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
        eraser = Eraser(Access(IngestSettings(_env_file=None, redis_url=server.url, prefix=prefix)), by="ada")
        search = eraser.find(PHONE)
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

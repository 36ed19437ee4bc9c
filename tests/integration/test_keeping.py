"""The ledger's identity and total on a disk of their own: written when they change, and read by whoever comes next."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import CommandLine
from servers import Server

from roark_ledger.ids import CallId
from roark_ledger.keeping import Keeper
from roark_ledger.ledger import Ledger
from roark_ledger.moves import intake, watch
from roark_ledger.moves.intake import Acceptable
from roark_ledger.records.promises import UnreadFile
from roark_ledger.server.connection import connect
from roark_producer.disk.frames import Spooled
from roark_producer.disk.spool import Spool
from roark_producer.settings import IngestSettings
from roark_worker.upkeep.remembering import Remembering


@pytest.fixture
def ledger(valkey: Server, prefix: str) -> Iterator[Ledger]:
    with connect(valkey.url) as client:
        yield Ledger(client, prefix=prefix)


def accept(ledger: Ledger, *call_ids: str) -> None:
    reports = [Acceptable(CallId(call_id), "print", b"packed") for call_id in call_ids]
    ledger.run(intake.accept(reports, revisions="record", per_wakeup=64))


def emptied(ledger: Ledger) -> None:
    for key in ledger.calls.keys.in_order():
        ledger.client.delete(key)


def missing(ledger: Ledger) -> list[int]:
    return [loss.most for loss in ledger.run(watch.snapshot()).losses]


def keeper(folder: Path, url: str = "unix:///a", prefix: str = "roark", *, make_folder: bool = False) -> Keeper:
    return Keeper.of(folder, url, prefix, make_folder=make_folder)


def look(ledger: Ledger, one: Keeper) -> None:
    one.note(ledger.run(one.operation()))


def test_a_process_that_comes_later_knows_what_an_earlier_one_saw(ledger: Ledger, tmp_path: Path) -> None:
    accept(ledger, "call-1", "call-2")
    look(ledger, keeper(tmp_path))
    emptied(ledger)

    later = keeper(tmp_path)
    look(ledger, later)

    assert missing(ledger) == [2]
    assert [loss.most for loss in later.losses] == [2]
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_file_is_written_only_when_something_has_changed(ledger: Ledger, tmp_path: Path) -> None:
    one = keeper(tmp_path)
    accept(ledger, "call-1")
    look(ledger, one)
    (file,) = tmp_path.iterdir()
    before = file.stat().st_ino
    look(ledger, one)
    look(ledger, one)
    assert file.stat().st_ino == before

    accept(ledger, "call-2")
    look(ledger, one)
    assert file.stat().st_ino != before
    emptied(ledger)
    look(ledger, keeper(tmp_path))
    assert missing(ledger) == [2]


@pytest.mark.parametrize(
    ("url", "prefix", "same"),
    [
        ("redis://ada:old@redis:6379/0", "roark", True),
        ("redis://:new@redis:6379/0", "roark", True),
        ("redis://redis:6379/1", "roark", False),
        ("redis://other:6379/0", "roark", False),
        ("redis://redis:6379/0", "another", False),
        ("unix:///run/redis.sock", "roark", False),
    ],
)
def test_each_ledger_has_a_file_of_its_own_whatever_its_password(
    ledger: Ledger, tmp_path: Path, url: str, prefix: str, same: bool
) -> None:
    look(ledger, keeper(tmp_path, "redis://redis:6379/0"))
    assert keeper(tmp_path, url, prefix).is_known is same


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"keeper":1}', b"\xff"])
def test_a_file_that_cannot_be_read_is_nothing_remembered(ledger: Ledger, tmp_path: Path, content: bytes) -> None:
    look(ledger, keeper(tmp_path))
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)

    again = keeper(tmp_path)
    assert not again.is_known
    assert again.doubts() == (f"{file} cannot be read",)
    look(ledger, again)
    assert keeper(tmp_path).is_known
    aside = file.with_suffix(".damaged")
    assert again.doubts() == (f"{aside} cannot be read",), "somebody may still find out what it knew"
    assert aside.read_bytes() == content


def test_a_folder_that_was_removed_is_made_again_though_nothing_has_changed(ledger: Ledger, tmp_path: Path) -> None:
    one = keeper(tmp_path / "data", make_folder=True)
    accept(ledger, "call-1")
    look(ledger, one)
    shutil.rmtree(tmp_path / "data")

    look(ledger, one)

    emptied(ledger)
    look(ledger, keeper(tmp_path / "data"))
    assert missing(ledger) == [1]


def test_reports_that_were_on_their_way_under_another_prefix_are_not_forgotten(ledger: Ledger, tmp_path: Path) -> None:
    accept(ledger, "call-1", "call-2")
    look(ledger, keeper(tmp_path, "redis://ada:secret@redis/0", "roark"))

    (doubt,) = keeper(tmp_path, "redis://redis/0", "another").doubts()

    assert doubt.endswith("remembers another ledger (roark redis/0), 2 of its reports were on their way")
    assert keeper(tmp_path, "redis://redis/0", "roark").doubts() == ()


def test_where_nothing_can_be_written_it_is_said_once_and_the_process_remembers_still(
    ledger: Ledger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    one = keeper(tmp_path / "file", make_folder=True)
    accept(ledger, "call-1")
    with caplog.at_level(logging.WARNING):
        look(ledger, one)
        accept(ledger, "call-2")
        look(ledger, one)
    assert [record.message for record in caplog.records].count("ledger_not_remembered") == 1
    emptied(ledger)
    look(ledger, one)

    assert missing(ledger) == [2]


def test_a_worker_looks_by_itself(valkey: Server, ledger: Ledger, prefix: str, tmp_path: Path) -> None:
    settings = IngestSettings(_env_file=None, redis_url=valkey.url, prefix=prefix, data_dir=tmp_path)
    remembering = Remembering(ledger, keeper(tmp_path), settings)
    accept(ledger, "call-1", "call-2", "call-3")
    remembering.once()
    emptied(ledger)
    remembering.once()

    assert missing(ledger) == [3]


class TestTheCommand:
    @pytest.fixture
    def line(self, valkey: Server, prefix: str, tmp_path: Path) -> CommandLine:
        return CommandLine(valkey.url, prefix, tmp_path)

    def test_a_loss_is_told_by_each_command_until_somebody_settles_it(
        self, valkey: Server, ledger: Ledger, prefix: str, tmp_path: Path, line: CommandLine
    ) -> None:
        accept(ledger, "call-1", "call-2")
        look(ledger, keeper(tmp_path / "data", valkey.url, prefix, make_folder=True))
        emptied(ledger)

        told = line.run("status")
        assert told.exit_code == 3
        assert "2 reports" in told.stdout
        audited = line.run("audit", "--json")
        assert (audited.exit_code, audited.document["holds"]) == (3, False)
        assert audited.document["missing"][0]["at_most"] == 2
        assert "2 reports" in line.run("doctor", ROARK_BASE_URL="http://127.0.0.1:9").stdout
        assert line.run("repair", "ledger").exit_code == 3

        settled = line.run("repair", "ledger", "--accept-loss", "--reason", "a new Redis", "--yes", "--json")
        assert (settled.exit_code, settled.document["settled"]) == (0, 1)
        assert line.run("repair", "ledger").exit_code == 0
        assert line.run("audit").exit_code == 0
        assert "a new Redis" in line.run("log", "list").stdout

    def test_what_a_spool_cannot_give_back_is_listed_and_given_up(
        self, ledger: Ledger, tmp_path: Path, line: CommandLine
    ) -> None:
        folder = tmp_path / "data" / "spool"
        spool = Spool(folder, most_bytes=10**6)
        spool.append([Spooled(b"x" * 99, {}, 1)])
        spool.set_aside([Spooled(b"y", {}, 1), Spooled(b"z", {}, 2)])
        (folder / "1-1-1.spool2").write_bytes(b"of a newer version")
        ledger.run(intake.note_unread("gone:/spool", [UnreadFile("a.damaged", "it is damaged", 1)]))

        listed = line.run("repair", "spool", "--json")
        assert listed.exit_code == 3
        assert sorted(each["reports"] for each in listed.document["files"]) == [1, 2]
        assert line.run("repair", "spool", "--accept-loss", "--yes").exit_code == 0
        assert sorted(path.suffix for path in (folder / "given-up").iterdir()) == [".refused", ".spool2"]
        assert line.run("repair", "spool").exit_code == 0
        assert line.run("audit").exit_code == 0
        assert list(folder.glob("*.spool")), "what waits is not given up"

    def test_files_that_the_embedded_server_would_start_empty_over_are_mended(
        self, tmp_path: Path, line: CommandLine
    ) -> None:
        files = tmp_path / "data" / "valkey"
        (files / "appendonlydir").mkdir(parents=True)
        (files / "appendonlydir" / "appendonly.aof.1.incr.aof").write_bytes(b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\nXX")

        ended = line.run("repair", "aof", "--yes", "--json")

        assert ended.exit_code == 0
        assert len(ended.document["done"]) == 2
        assert Path(ended.document["copy"]).is_dir()
        assert line.run("repair", "aof", "--json").document["done"] == []

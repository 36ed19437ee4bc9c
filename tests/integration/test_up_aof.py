"""The embedded server's files: what it would start empty over is refused, and mended; what was whole is not lost."""

from pathlib import Path

import pytest
import redis
from servers import Server

from roark_ledger.ids import CallId
from roark_ledger.ledger import Ledger
from roark_ledger.moves.intake import Acceptable, accept
from roark_ledger.server.connection import connect
from roark_ops.up.server.aof import copy_of, cuts, mend, reason_not_to_start

NUMBER = 20


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder in which a server has been: a base, and the commands since."""
    folder = tmp_path / "v"
    folder.mkdir()
    with served(folder) as ledger:
        for number in range(NUMBER):
            if number == NUMBER // 2:
                ledger.client.bgrewriteaof()
                wait_for_rewrite(ledger.client)
            report = Acceptable(CallId(f"call-{number}"), "print", b"packed \r\n*1 $3" * 20)
            ledger.run(accept([report], revisions="record", per_wakeup=64))
    return folder


class served:  # noqa: N801 it reads like a function
    """A server in a folder, for as long as the block lasts."""

    def __init__(self, folder: Path) -> None:
        self.server = Server(folder, save="")

    def __enter__(self) -> Ledger:
        self.server.start()
        self.client = connect(self.server.url)
        return Ledger(self.client)

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.server.stop()


def wait_for_rewrite(client: "redis.Redis") -> None:
    while client.info("persistence")["aof_rewrite_in_progress"]:
        client.ping()


def calls_in(folder: Path) -> int:
    with served(folder) as ledger:
        return ledger.hash_size(ledger.calls.keys.records)


def manifest(files: Path) -> Path:
    return files / "appendonlydir" / "appendonly.aof.manifest"


def incremental(files: Path) -> Path:
    return max((files / "appendonlydir").glob("*.incr.aof"))


def test_files_that_are_whole_are_nothing_to_refuse_and_nothing_to_mend(files: Path) -> None:
    assert (reason_not_to_start(files), cuts(files), mend(files, [])) == ("", [], [])
    assert calls_in(files) == NUMBER


def test_an_empty_folder_is_a_new_ledger(tmp_path: Path) -> None:
    assert (reason_not_to_start(tmp_path), cuts(tmp_path)) == ("", [])


@pytest.mark.parametrize("left", ["none", "empty", "nonsense"])
def test_data_without_its_manifest_is_refused_and_the_manifest_made_anew(files: Path, left: str) -> None:
    manifest(files).unlink()
    if left != "none":
        manifest(files).write_text("" if left == "empty" else "nonsense\n")
    assert "appendonly.aof.manifest" in reason_not_to_start(files)

    (done,) = mend(files, cuts(files))

    assert "2 files" in done
    assert reason_not_to_start(files) == ""
    assert calls_in(files) == NUMBER


def test_the_base_from_before_a_rewrite_and_all_since_say_the_same(files: Path) -> None:
    folder = files / "appendonlydir"
    manifest(files).unlink()
    # As if it had died after the rewrite, and before the older files were removed: here the older base is the whole.
    base = next(folder.glob("*.base.rdb"))
    (folder / "appendonly.aof.9.base.rdb").write_bytes(base.read_bytes())

    mend(files, [])

    assert "appendonly.aof.9.base.rdb" not in manifest(files).read_text()
    assert calls_in(files) == NUMBER


def test_a_manifest_that_names_what_is_not_there_is_refused(files: Path) -> None:
    incremental(files).unlink()

    assert incremental_name(files) in reason_not_to_start(files)
    assert "backup" in reason_not_to_start(files)


def incremental_name(files: Path) -> str:
    return next(word for word in manifest(files).read_text().split() if word.endswith(".incr.aof"))


def test_a_dump_that_the_server_would_not_read_becomes_its_base(files: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "w"
    elsewhere.mkdir()
    with served(files) as ledger:
        ledger.client.save()
    (elsewhere / "dump.rdb").write_bytes((files / "dump.rdb").read_bytes())
    assert "dump.rdb" in reason_not_to_start(elsewhere)

    mend(elsewhere, [])

    assert reason_not_to_start(elsewhere) == ""
    assert calls_in(elsewhere) == NUMBER


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_damaged_file_is_cut_behind_its_last_whole_transaction_and_the_copy_has_the_rest(
    files: Path, share: float
) -> None:
    path = incremental(files)
    content = path.read_bytes()
    at = int(len(content) * share)
    path.write_bytes(content[:at] + b"XXXXXXXXXXXXXXXX" + content[at + 16 :])

    (cut,) = cuts(files)
    assert cut.whole_bytes <= at
    copied = copy_of(files, "now")
    mend(files, [cut])

    assert cuts(files) == []
    assert (
        incremental(copied).read_bytes()
        == path.read_bytes() + (copied / path.relative_to(files)).read_bytes()[cut.whole_bytes :]
    )
    kept = calls_in(files)
    assert NUMBER // 2 <= kept < NUMBER
    assert kept >= NUMBER // 2 + int(NUMBER // 2 * share) - 1


def test_a_transaction_that_was_cut_short_is_cut_off_as_a_whole(files: Path) -> None:
    path = incremental(files)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"EXEC")])

    (cut,) = cuts(files)

    assert content[: cut.whole_bytes].count(b"\r\nMULTI\r\n") == content[: cut.whole_bytes].count(b"\r\nEXEC\r\n")
    assert cut.whole_bytes < cut.bytes


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_manifest_that_was_cut_short_is_refused_and_made_anew(files: Path, share: float) -> None:
    text = manifest(files).read_text().rstrip()
    manifest(files).write_text(text[: int(len(text) * share)])
    assert reason_not_to_start(files)

    mend(files, cuts(files))

    assert reason_not_to_start(files) == ""
    assert calls_in(files) == NUMBER


def test_a_manifest_that_leaves_out_the_commands_since_the_base_is_refused_and_made_anew(files: Path) -> None:
    lines = manifest(files).read_text().splitlines(keepends=True)
    manifest(files).write_text("".join(line for line in lines if " type b" in line))
    assert f"leaves out {incremental(files).name}" in reason_not_to_start(files)

    mend(files, cuts(files))

    assert reason_not_to_start(files) == ""
    assert calls_in(files) == NUMBER


PLACES = 12


def test_a_file_that_ends_anywhere_keeps_every_report_before_that(files: Path, tmp_path: Path) -> None:
    content = incremental(files).read_bytes()
    for place in range(PLACES):
        at = len(content) * place // PLACES + 7 * place % 13
        copied = copy_of(files, f"{place}")
        incremental(copied).write_bytes(content[:at])
        whole = content[:at].count(b"\r\nEXEC\r\n")
        assert bool(cuts(copied)) == (at not in {0, len(content)} and not content[:at].endswith(b"EXEC\r\n"))

        done = mend(copied, cuts(copied))

        assert cuts(copied) == []
        assert (mend(copied, cuts(copied)), reason_not_to_start(copied)) == ([], ""), done
        assert calls_in(copied) == NUMBER // 2 + whole

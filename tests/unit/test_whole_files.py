"""Files that appear whole or not at all: for their owner only, and never through what somebody else laid there."""

import os
import stat
from pathlib import Path

import pytest

from roark_ledger.private_files import private
from roark_ledger.whole_files import left_overs, remove_left_overs, replacing

OLD = 1_000_000_000


def test_a_file_appears_whole_and_for_its_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with replacing(tmp_path / "file") as file:
            file.write(b"all of it")
            assert os.listdir(tmp_path) != ["file"]
    finally:
        os.umask(before)
    assert (tmp_path / "file").read_bytes() == b"all of it"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["file"]


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(ValueError, match="full"), replacing(tmp_path / "file") as file:  # noqa: PT012 the block is it
        file.write(b"half")
        raise ValueError("full")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_link_is_never_written_through(tmp_path: Path, overwrite: bool) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"keep")
    (tmp_path / "file").symlink_to(victim)
    try:
        with replacing(tmp_path / "file", overwrite=overwrite) as file:
            file.write(b"secret")
    except FileExistsError:
        assert not overwrite
        assert (tmp_path / "file").is_symlink()
    else:
        assert not (tmp_path / "file").is_symlink()
    assert victim.read_bytes() == b"keep"


def test_a_dangling_link_counts_as_there(tmp_path: Path) -> None:
    (tmp_path / "file").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError), replacing(tmp_path / "file", overwrite=False) as file:
        file.write(b"secret")
    assert not (tmp_path / "nowhere").exists()


def test_who_takes_the_name_meanwhile_keeps_it(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError), replacing(tmp_path / "file", overwrite=False) as file:  # noqa: PT012
        file.write(b"secret")
        (tmp_path / "file").write_bytes(b"theirs")
    assert (tmp_path / "file").read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["file"]


def test_only_what_nobody_writes_any_more_is_taken_for_left_behind(tmp_path: Path) -> None:
    dead, young, link = (tmp_path / f".file.{name}.partial" for name in ("dead", "young", "link"))
    for path in (dead, young):
        path.write_bytes(b"half")
    link.symlink_to(dead)
    os.utime(dead, (OLD, OLD))
    with replacing(tmp_path / "other") as file:
        (writing,) = tmp_path.glob(".other.*")
        os.utime(writing, (OLD, OLD))
        assert left_overs(tmp_path) == [dead]
        file.write(b"other")
    assert remove_left_overs(tmp_path / "file") == [dead]
    assert not dead.exists()
    assert young.exists()


def test_a_long_name_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 127)
    with replacing(path) as file:
        file.write(b"x")
    assert path.read_bytes() == b"x"


def test_what_is_opened_privately_is_no_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "log")
    with pytest.raises(OSError, match="symbolic"), open(tmp_path / "link", "ab", opener=private):
        pass

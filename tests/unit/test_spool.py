"""The spool's files: what is on the disk is found again, whatever happened to the rest of it."""

import errno
import os
import signal
import stat
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roark_producer.disk import spool as spool_module
from roark_producer.disk.frames import Spooled
from roark_producer.disk.purging import Purged, purge
from roark_producer.disk.segments import Pending, pending
from roark_producer.disk.spool import Spool, SpoolFull

PLENTY = 10**9
# Two processes of this file's own: one writes until it is killed, one holds a segment.
WRITE_FOREVER = """
import itertools, sys
from pathlib import Path
from roark_producer.disk.frames import Spooled
from roark_producer.disk.spool import Spool

spool = Spool(Path(sys.argv[1]), most_bytes=10**9)
for number in itertools.count():
    spool.append([Spooled(b"%d " % (3 * number + part) + bytes(range(256)) * 40) for part in range(3)])
    print(3 * number + 2, flush=True)
"""
HOLD = """
import sys
from pathlib import Path
from roark_producer.disk.frames import Spooled
from roark_producer.disk.spool import Spool

Spool(Path(sys.argv[1]), most_bytes=10**9).append([Spooled(b"of the other process")])
print("written", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "spool"


@pytest.fixture
def spool(folder: Path) -> Spool:
    return Spool(folder, most_bytes=PLENTY)


def requests(*bodies: bytes) -> list[Spooled]:
    return [Spooled(body, {"tenant": "Grüße"}, 1_790_000_000_000 + place) for place, body in enumerate(bodies)]


def bodies(spool: Spool) -> list[bytes]:
    found = []
    for segment in spool.waiting():
        found += [request.body for request in segment.requests()]
        segment.close()
    return found


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.spool"))


class TestOrder:
    def test_requests_come_out_as_they_went_in(self, spool: Spool) -> None:
        kept = requests(b"", b"\n", b'{"a": 1}\n{"b": 2}', bytes(range(256)), b"x" * 100_000)
        kept.append(Spooled(b"traced", trace=bytes(range(25))))
        spool.append(kept[:2])
        spool.append(kept[2:])
        spool.seal()

        (segment,) = spool.waiting()

        assert list(segment.requests()) == kept
        segment.close()

    def test_what_is_still_written_is_not_handed_in(self, spool: Spool) -> None:
        spool.append(requests(b"1"))

        assert bodies(spool) == []
        assert not spool.is_empty()

    def test_segments_come_oldest_first(self, spool: Spool) -> None:
        for number in range(5):
            spool.append(requests(b"%d" % number))
            spool.seal()

        assert bodies(spool) == [b"0", b"1", b"2", b"3", b"4"]

    def test_a_clock_that_is_set_back_does_not_change_the_order(
        self, spool: Spool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        spool.append(requests(b"first"))
        spool.seal()
        monkeypatch.setattr("roark_producer.disk.spool.time.time_ns", lambda: 1)
        spool.append(requests(b"second"))
        spool.seal()

        assert bodies(spool) == [b"first", b"second"]

    def test_a_segment_that_has_grown_large_enough_is_ended(
        self, spool: Spool, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(spool_module, "_SEGMENT_BYTES", 10_000)
        for _ in range(10):
            spool.append(requests(os.urandom(4_000)))

        assert len(files(folder)) == 4

    def test_what_was_handed_in_is_gone(self, spool: Spool, folder: Path) -> None:
        spool.append(requests(b"1", b"2"))
        spool.seal()
        assert pending(folder).reports == 2

        for segment in spool.waiting():
            spool.done(segment)

        assert spool.is_empty()
        assert pending(folder) == Pending(0, 0)
        assert list(folder.iterdir()) == []

    def test_a_segment_that_was_not_handed_in_whole_is_found_again(self, spool: Spool) -> None:
        spool.append(requests(b"1"))
        spool.seal()

        assert bodies(spool) == bodies(spool) == [b"1"]


def test_nobody_else_may_read_what_people_said(spool: Spool, folder: Path) -> None:
    spool.append(requests(b"1"))

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in files(folder)] == [0o600]


def test_a_folder_that_was_never_made_is_empty(folder: Path) -> None:
    spool = Spool(folder, most_bytes=PLENTY)

    assert (bodies(spool), spool.is_empty(), pending(folder)) == ([], True, Pending(0, 0))


class TestDamage:
    """One segment of five requests; every place in it is tried."""

    BODIES = (b"one", b"", b"RIS1" * 5, os.urandom(70), b"the last")

    @pytest.fixture
    def written(self, spool: Spool, folder: Path) -> tuple[Path, list[int]]:
        """The segment, and where its frames end."""
        ends = []
        for body in self.BODIES:
            spool.append(requests(body))
            ends.append(spool.size())
        spool.seal()
        (path,) = files(folder)
        return path, ends

    def test_a_segment_that_is_cut_anywhere_gives_every_whole_request_before_the_cut(
        self, spool: Spool, written: tuple[Path, list[int]]
    ) -> None:
        path, ends = written
        content = path.read_bytes()
        for length in range(len(content)):
            path.write_bytes(content[:length])

            (segment,) = spool.waiting()

            whole = sum(end <= length for end in ends)
            assert [one.body for one in segment.requests()] == list(self.BODIES[:whole])
            assert segment.damaged_bytes == 0, "a torn end was never promised, so nothing was damaged"
            segment.close()

    @pytest.mark.parametrize("flipped", [0x01, 0x80, 0xFF])
    def test_a_byte_that_changes_anywhere_costs_the_one_request_it_is_in(
        self, spool: Spool, written: tuple[Path, list[int]], flipped: int
    ) -> None:
        path, ends = written
        content = path.read_bytes()
        for place in range(len(content)):
            path.write_bytes(content[:place] + bytes([content[place] ^ flipped]) + content[place + 1 :])
            hit = sum(end <= place for end in ends)

            (segment,) = spool.waiting()

            found = [one.body for one in segment.requests()]
            assert found == [body for number, body in enumerate(self.BODIES) if number != hit]
            is_told = segment.damaged_bytes > 0
            # The last one's length may be what was damaged: then it looks like a torn end.
            assert is_told or hit == len(self.BODIES) - 1
            segment.close()

    def test_a_damaged_segment_is_kept_aside(self, spool: Spool, folder: Path, written: tuple[Path, list[int]]) -> None:
        path, ends = written
        content = bytearray(path.read_bytes())
        content[ends[1] - 1] ^= 1
        path.write_bytes(content)

        (segment,) = spool.waiting()
        spool.done(segment)

        assert [file.suffix for file in folder.iterdir()] == [".damaged"]
        assert spool.is_empty()

    def test_zeros_that_a_power_cut_left_at_the_end_are_a_torn_end(
        self, spool: Spool, written: tuple[Path, list[int]]
    ) -> None:
        path, _ = written
        path.write_bytes(path.read_bytes() + bytes(4096))

        (segment,) = spool.waiting()

        assert (len(segment.packed), segment.damaged_bytes) == (5, 0)
        segment.close()

    @given(data=st.data())
    def test_whatever_happens_to_it_no_whole_request_is_lost_and_none_is_invented(
        self, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        folder = tmp_path_factory.mktemp("spool")
        spool = Spool(folder, most_bytes=PLENTY)
        kept = data.draw(
            st.lists(st.binary(max_size=60) | st.just(b"RIS1\0\0\0\1"), min_size=1, max_size=6, unique=True)
        )
        ends = [0]
        for body in kept:
            spool.append(requests(body))
            ends.append(spool.size())
        spool.seal()
        (path,) = files(folder)
        content = bytearray(path.read_bytes())
        first = data.draw(st.integers(0, len(content)))
        last = data.draw(st.integers(first, len(content)))
        content[first:last] = data.draw(st.binary(max_size=40))
        path.write_bytes(content)

        found = bodies(spool)

        whole = [body for body, start, end in zip(kept, ends, ends[1:], strict=False) if end <= first or start >= last]
        assert [body for body in found if body in whole] == whole
        assert set(found) <= set(kept)

    def test_a_frame_that_a_sender_hid_in_a_report_is_not_found_in_a_damaged_segment(
        self, spool: Spool, folder: Path
    ) -> None:
        inside = os.urandom(500)
        hidden = struct.pack(">4sII", b"RIS1", len(inside), zlib.crc32(inside)) + inside
        spool.append(requests(hidden))
        spool.seal()
        (path,) = files(folder)
        content = path.read_bytes()
        assert hidden in content, "zstd stores what it cannot compress as it is"
        path.write_bytes(b"????" + content[4:])

        assert bodies(spool) == []


class TestWritersThatDie:
    def test_what_was_said_to_be_kept_is_there_after_kill_9_in_mid_write(self, folder: Path) -> None:
        for _ in range(5):
            writer = subprocess.Popen([sys.executable, "-c", WRITE_FOREVER, folder], stdout=subprocess.PIPE, text=True)
            assert writer.stdout is not None
            promised = -1
            for _ in range(8):
                promised = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
            promised = max([promised, *map(int, writer.stdout.read().split())])
            writer.wait()
            writer.stdout.close()

            reader = Spool(folder, most_bytes=PLENTY)
            (segment,) = reader.waiting()
            numbers = [int(one.body.split(b" ")[0]) for one in segment.requests()]

            assert numbers[: promised + 1] == list(range(promised + 1))
            assert numbers == list(range(len(numbers)))
            assert segment.damaged_bytes == 0
            reader.done(segment)

    def test_a_writer_that_lives_keeps_its_segment_to_itself(self, spool: Spool, folder: Path) -> None:
        other = subprocess.Popen(
            [sys.executable, "-c", HOLD, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert other.stdout is not None
        assert other.stdout.readline() == "written\n"
        spool.append(requests(b"ours"))
        spool.seal()

        assert bodies(spool) == [b"ours"]

        other.communicate()
        assert sorted(bodies(spool)) == [b"of the other process", b"ours"]

    def test_two_readers_never_hand_in_the_same_segment(self, spool: Spool, folder: Path) -> None:
        spool.append(requests(b"1"))
        spool.seal()
        (mine,) = spool.waiting()

        other = Spool(folder, most_bytes=PLENTY)

        assert list(other.waiting()) == []
        spool.done(mine)
        assert list(other.waiting()) == []

    def test_a_segment_is_never_seen_without_its_lock(
        self, spool: Spool, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = Spool(folder, most_bytes=PLENTY)
        seen: list[list[bytes]] = []
        lock = spool_module.fcntl.flock

        def looking(file: int, how: int) -> None:
            if how == spool_module.fcntl.LOCK_EX:
                for segment in other.waiting():
                    other.done(segment)
                seen.append(bodies(other))
            lock(file, how)

        monkeypatch.setattr("roark_producer.disk.segments.fcntl.flock", looking)
        spool.append(requests(b"1"))
        monkeypatch.undo()
        spool.seal()

        assert seen == [[]]
        assert bodies(other) == [b"1"]


class TestWhereNothingCanBeKept:
    def test_it_takes_no_more_than_it_may(self, folder: Path) -> None:
        spool = Spool(folder, most_bytes=5_000)
        spool.append(requests(os.urandom(4_000)))

        with pytest.raises(SpoolFull, match="ROARK_INGEST_SPOOL_MAX_BYTES is 5000"):
            spool.append(requests(os.urandom(4_000)))

        spool.append(requests(b"a small one still fits"))
        spool.seal()
        assert [body[:22] for body in bodies(spool)][1:] == [b"a small one still fits"]

    def test_the_bound_is_that_of_the_folder(self, folder: Path) -> None:
        Spool(folder, most_bytes=5_000).append(requests(os.urandom(4_000)))

        with pytest.raises(SpoolFull):
            Spool(folder, most_bytes=5_000).append(requests(os.urandom(4_000)))

    @pytest.fixture(params=["write", "fdatasync"])
    def failing(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
        """Make the disk fail once: at a write of which half was done, or at the sync."""

        def fail() -> None:
            whole = os.write

            def write(file: int, data: memoryview) -> int:
                whole(file, data[: len(data) // 2])
                raise OSError(errno.ENOSPC, "No space left on device")

            def sync(file: int) -> None:
                raise OSError(errno.EIO, "Input/output error")

            monkeypatch.setattr(
                f"roark_producer.disk.spool.os.{request.param}", {"write": write, "fdatasync": sync}[request.param]
            )

        yield fail
        monkeypatch.undo()

    def test_a_disk_that_fails_is_told_and_leaves_nothing_behind(
        self, spool: Spool, failing: Callable[[], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        spool.append(requests(b"before"))
        failing()
        with pytest.raises(SpoolFull, match=r"cannot write to the spool.*: (No space|Input/output)"):
            spool.append(requests(b"never promised"))
        monkeypatch.undo()

        spool.append(requests(b"after"))
        spool.seal()

        assert bodies(spool) == [b"before", b"after"]

    def test_where_the_folder_cannot_be_made_nothing_is_promised(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        spool = Spool(tmp_path / "file" / "spool", most_bytes=PLENTY)

        with pytest.raises(SpoolFull, match="cannot write to the spool"):
            spool.append(requests(b"1"))
        assert bodies(spool) == []


def test_pending_counts_without_reading_the_reports(spool: Spool, folder: Path) -> None:
    spool.append(requests(*(b"x" * 1000 for _ in range(7))))
    size = spool.size()
    assert pending(folder) == Pending(7, size)

    with files(folder)[0].open("ab") as torn:
        torn.write(b"RIS1\0\0\1\0....")

    assert pending(folder).reports == 7


class TestPurge:
    """Requests are taken out of files that nobody writes any more, for somebody who is to be forgotten."""

    def fill(self, folder: Path, *bodies: bytes) -> Path:
        spool = Spool(folder, most_bytes=10**9)
        spool.append([Spooled(body, {"tenant": "t"}, 7) for body in bodies])
        spool.seal()
        return folder

    def bodies(self, folder: Path) -> list[bytes]:
        found = []
        for segment in Spool(folder, most_bytes=10**9).waiting():
            found += [request.body for request in segment.requests()]
            segment.close()
        return found

    def test_only_what_is_unwanted_goes_and_the_order_stays(self, tmp_path: Path) -> None:
        self.fill(tmp_path, b"1", b"2", b"1", b"3")
        self.fill(tmp_path, b"4")

        purged = purge(tmp_path, lambda request: request.body == b"1")

        assert purged == Purged(requests=2, files=1, busy=0, unread_bytes=0)
        assert self.bodies(tmp_path) == [b"2", b"3", b"4"]

    def test_a_file_of_which_nothing_is_left_is_removed(self, tmp_path: Path) -> None:
        self.fill(tmp_path, b"1", b"1")

        purge(tmp_path, lambda _: True)

        assert list(tmp_path.iterdir()) == []

    def test_a_look_changes_nothing(self, tmp_path: Path) -> None:
        self.fill(tmp_path, b"1")
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

        assert purge(tmp_path, lambda _: True, only_look=True).requests == 1

        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before

    def test_files_kept_as_damaged_are_purged_too_and_what_is_damaged_stays_and_is_told(self, tmp_path: Path) -> None:
        self.fill(tmp_path, b"first" * 20, b"second" * 20, b"third" * 20)
        (path,) = tmp_path.iterdir()
        content = bytearray(path.read_bytes())
        content[20] ^= 0xFF
        kept = path.with_suffix(".damaged")
        kept.write_bytes(content)
        path.unlink()

        purged = purge(tmp_path, lambda request: request.body == b"second" * 20)

        assert (purged.requests, purged.unread_bytes > 0) == (1, True)
        assert kept.read_bytes()[: purged.unread_bytes] == content[: purged.unread_bytes]
        assert len(kept.read_bytes()) < len(content)

    def test_what_a_crash_of_an_earlier_purge_left_is_removed(self, tmp_path: Path) -> None:
        self.fill(tmp_path, b"1")
        (tmp_path / "left-over.fresh").write_bytes(b"half of it")

        purge(tmp_path, lambda _: False)

        assert self.bodies(tmp_path) == [b"1"]
        assert not list(tmp_path.glob("*.fresh"))

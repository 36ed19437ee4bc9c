"""The requests of several processes' segments, in the order in which they came."""

import os
from pathlib import Path

from roark_producer.disk.frames import Spooled, frame_of
from roark_producer.disk.merging import Merged
from roark_producer.disk.segments import locked, salt_of


def segment(folder: Path, number_ms: int, writer: int, *received_ms: int) -> Path:
    path = folder / f"{number_ms * 1_000_000:020d}-{writer}-{os.urandom(4).hex()}.spool"
    requests = [Spooled(b"%d by %d" % (at, writer), {}, at) for at in received_ms]
    path.write_bytes(b"".join(frame_of(each, salt_of(path)) for each in requests))
    return path


def bodies(merged: Merged, most: int = 2) -> tuple[list[bytes], list[Path]]:
    found, ended = [], []
    while batch := merged.batch(most):
        found += [request.body for request in batch.requests]
        for each in batch.ended:
            # A segment ends only with or behind the last of its requests.
            ended.append(each.path)
            each.close()
    merged.close()
    return found, ended


def test_requests_of_several_processes_come_in_the_order_in_which_they_were_received(tmp_path: Path) -> None:
    # given that two processes wrote at the same time, and one went on in a second segment
    first = segment(tmp_path, 100, 1, 100, 130, 160)
    second = segment(tmp_path, 110, 2, 110, 120, 170, 190)
    third = segment(tmp_path, 165, 1, 165, 180)

    found, ended = bodies(Merged(tmp_path))

    in_order = [100, 110, 120, 130, 160, 165, 170, 180, 190]
    assert [int(each.split()[0]) for each in found] == in_order
    assert set(ended) == {first, second, third}


def test_a_processs_own_order_holds_whatever_its_clock_said(tmp_path: Path) -> None:
    segment(tmp_path, 100, 1, 100, 90, 95)
    segment(tmp_path, 101, 1, 50)

    assert bodies(Merged(tmp_path))[0] == [b"100 by 1", b"90 by 1", b"95 by 1", b"50 by 1"]


def test_what_somebody_writes_is_passed_over_and_nothing_is_opened_before_its_turn(tmp_path: Path) -> None:
    segment(tmp_path, 100, 1, 100, 101)
    being_written = locked(segment(tmp_path, 100, 2, 100))
    later = segment(tmp_path, 900, 3, 900)
    merged = Merged(tmp_path)

    batch = merged.batch(1)
    assert batch
    assert being_written
    free = locked(later)
    assert free, "the later one is not held yet"
    free.close()
    found, ended = bodies(merged)

    assert [batch.requests[0].body, *found] == [b"100 by 1", b"101 by 1", b"900 by 3"]
    assert later in ended
    being_written.close()


def test_a_segment_in_which_nothing_can_be_read_ends_too(tmp_path: Path) -> None:
    path = segment(tmp_path, 100, 1)
    path.write_bytes(b"RIS1" + b"\xff" * 40)

    found, ended = bodies(Merged(tmp_path))

    assert (found, ended) == ([], [path])


def test_a_segment_whose_last_requests_could_not_be_handed_in_is_found_again(tmp_path: Path) -> None:
    path = segment(tmp_path, 100, 1, 100, 101)
    merged = Merged(tmp_path)
    batch = merged.batch(2)
    assert batch
    assert [each.path for each in batch.ended] == [path]

    # when the ledger did not take them
    merged.close()

    assert bodies(Merged(tmp_path))[0] == [b"100 by 1", b"101 by 1"]

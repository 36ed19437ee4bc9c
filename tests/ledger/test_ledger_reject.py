"""The rejected bin: what came in and cannot be used, once per content; and counters gathered elsewhere."""

import hashlib
import random

import msgspec
import pytest
from workbench import Workbench

from roark_ledger.errors import InvalidReport
from roark_ledger.moves import desk, intake
from roark_ledger.packing import pack, unpack
from roark_ledger.records.logbook import Action
from roark_producer.taking import rejection

META = b'{"field":"call.id"}'
PLENTY = 10**9


def reject(
    bench: Workbench, body: bytes, *, most: int = 100, most_bytes: int = PLENTY, spare: bool = False, meta: bytes = META
) -> bool:
    operation = intake.reject(
        digest=digest(body), meta=meta, packed=pack(body), most=most, most_bytes=most_bytes, spare=spare
    )
    return bench.run(operation)


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]


def noise(size: int) -> bytes:
    """Bytes that nothing makes smaller."""
    return random.Random(size).randbytes(size)


def books_are_right(bench: Workbench) -> bool:
    inventory = bench.inventory()
    kept, spare = inventory.hashes["rejected"], dict(inventory.zsets["rejected_spare"])
    sizes = {name: len(row) for name, row in kept.items()}
    found = bench.snapshot().bin
    return (found.entries, found.bytes, found.spare_entries, found.spare_bytes) == (
        len(sizes),
        sum(sizes.values()),
        len(spare),
        sum(sizes[name] for name in spare),
    )


def kept(bench: Workbench) -> list[bytes]:
    """The bodies in the bin, oldest first."""
    inventory = bench.inventory()
    bodies = []
    for digest, _ in inventory.zsets["rejected_order"]:
        length, _, rest = inventory.hashes["rejected"][digest].partition(b" ")
        bodies.append(unpack(rest[int(length) :]).payload)
    return bodies


def test_what_cannot_be_used_is_kept_with_its_reason(bench: Workbench) -> None:
    body = b'{"message":{"type":"end-of-call-report"}}'
    problem = InvalidReport("call", "is missing")

    assert bench.run(rejection(body, problem, source="webhook", most=10))

    ((_, row),) = bench.inventory().hashes["rejected"].items()
    length, _, rest = row.partition(b" ")
    assert msgspec.json.decode(rest[: int(length)]) == {
        "field": "call",
        "problem": "is missing",
        "source": "webhook",
        "bytes": len(body),
    }
    assert unpack(rest[int(length) :]).payload == body


def test_the_same_content_is_kept_once_and_counted_each_time(bench: Workbench) -> None:
    assert reject(bench, b"nonsense")
    bench.clock.advance(10)
    assert not reject(bench, b"nonsense")

    assert kept(bench) == [b"nonsense"]
    assert bench.count("rejected") == 2
    assert bench.snapshot().rejected_kept == 1


def test_a_full_bin_gives_up_its_oldest_and_counts_it(bench: Workbench) -> None:
    for number in range(5):
        reject(bench, b"nonsense %d" % number, most=3)
        bench.clock.advance(1)

    assert kept(bench) == [b"nonsense 2", b"nonsense 3", b"nonsense 4"]
    assert len(bench.inventory().hashes["rejected"]) == 3
    assert bench.count("rejected_overflow") == 2


def test_a_bin_that_was_made_smaller_shrinks_with_the_next_one(bench: Workbench) -> None:
    for number in range(5):
        reject(bench, b"nonsense %d" % number)
        bench.clock.advance(1)

    reject(bench, b"nonsense 5", most=2)

    assert kept(bench) == [b"nonsense 4", b"nonsense 5"]


def test_any_bytes_are_kept_as_they_were(bench: Workbench) -> None:
    body = bytes(range(256)) + b"\n\r\0 "

    reject(bench, body)

    assert kept(bench) == [body]


def test_the_rejected_are_no_part_of_the_accepted(bench: Workbench) -> None:
    reject(bench, b"nonsense")

    assert bench.count("accepted") == 0
    assert bench.snapshot().balanced


def test_counts_that_were_gathered_elsewhere_are_added(bench: Workbench) -> None:
    bench.run(intake.tally({"ignored": 3, "unauthorized": 1, "nothing": 0}))
    bench.run(intake.tally({"ignored": 2}))

    assert bench.count("ignored") == 5
    assert bench.count("unauthorized") == 1
    assert "nothing" not in bench.snapshot().counters


def test_a_file_never_displaces_what_came_by_the_webhook(bench: Workbench) -> None:
    reject(bench, b"the only copy", most=3)
    for number in range(10):
        bench.clock.advance(1)
        reject(bench, b"line %d" % number, most=3, spare=True)
    assert kept(bench) == [b"the only copy", b"line 8", b"line 9"]
    for number in range(2):
        bench.clock.advance(1)
        reject(bench, b"another copy %d" % number, most=3)
    assert kept(bench) == [b"the only copy", b"another copy 0", b"another copy 1"]
    assert bench.count("rejected_overflow") == 0
    assert bench.count("rejected_spared") == 9 + 1
    assert books_are_right(bench)


def test_what_is_spare_finds_no_room_in_a_full_bin(bench: Workbench) -> None:
    for number in range(3):
        reject(bench, b"copy %d" % number, most=3)
        bench.clock.advance(1)
    reject(bench, b"a line", most=3, spare=True)
    assert kept(bench) == [b"copy 0", b"copy 1", b"copy 2"]
    assert books_are_right(bench)


def test_the_bin_is_bounded_in_bytes(bench: Workbench) -> None:
    for number in range(12):
        reject(bench, noise(10_000 + number), most_bytes=50_000)
        bench.clock.advance(1)
    assert [len(body) for body in kept(bench)] == [10_008, 10_009, 10_010, 10_011]
    assert bench.count("rejected_overflow") == 8
    found = bench.snapshot().bin
    assert found.bytes <= 50_000
    assert found.fill == found.bytes / 50_000
    assert books_are_right(bench)


def test_the_bytes_of_what_is_spare_go_first(bench: Workbench) -> None:
    reject(bench, noise(20_000), most_bytes=50_000)
    bench.clock.advance(1)
    reject(bench, noise(20_001), most_bytes=50_000, spare=True)
    bench.clock.advance(1)
    reject(bench, noise(20_002), most_bytes=50_000)
    assert [len(body) for body in kept(bench)] == [20_000, 20_002]


def test_a_line_that_comes_by_the_webhook_as_well_is_spare_no_more(bench: Workbench) -> None:
    assert reject(bench, b"the same", spare=True, meta=b'{"source":"cli"}')
    bench.clock.advance(5)
    assert not reject(bench, b"the same", meta=b'{"source":"webhook"}')
    assert not reject(bench, b"the same", spare=True, meta=b'{"source":"cli"}')
    assert not bench.inventory().zsets["rejected_spare"]
    (row,) = bench.inventory().hashes["rejected"].values()
    assert b"webhook" in row
    assert books_are_right(bench)


def test_only_what_exists_nowhere_else_fills_the_bin(bench: Workbench) -> None:
    for number in range(9):
        reject(bench, b"line %d" % number, most=10, spare=True)
    assert not bench.snapshot().bin.filling
    for number in range(8):
        reject(bench, b"copy %d" % number, most=10)
    assert bench.snapshot().bin.fill == 0.8
    assert bench.snapshot().bin.filling


def test_an_empty_ledgers_bin_is_empty(bench: Workbench) -> None:
    assert bench.snapshot().bin.fill == 0


@pytest.mark.parametrize("action", [Action.REJECTED_RETRY, Action.REJECTED_DISCARD])
def test_what_leaves_the_bin_leaves_its_books(bench: Workbench, action: Action) -> None:
    reject(bench, b"one")
    reject(bench, b"two", spare=True)
    reject(bench, b"three", spare=True)
    assert bench.run(desk.unreject([digest(b"one"), digest(b"two"), "none"], action=action, who=b"{}")) == 2
    assert books_are_right(bench)
    bench.run(desk.erase_rejected([digest(b"three")], key=b"k" * 32, who=b"{}"))
    assert bench.snapshot().bin.entries == 0
    assert books_are_right(bench)


def test_the_books_are_made_anew_where_another_version_kept_none(bench: Workbench) -> None:
    for number in range(3):
        reject(bench, noise(100 + number), spare=number == 0)
    bench.ledger.client.hdel(
        bench.ledger.calls.keys.counters, "bin_entries", "bin_bytes", "bin_spare_entries", "bin_spare_bytes"
    )
    reject(bench, b"now")
    assert books_are_right(bench)

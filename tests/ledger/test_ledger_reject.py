"""The rejected bin: what came in and cannot be used, once per content; and counters gathered elsewhere."""

import hashlib

import msgspec
from workbench import Workbench

from roark_producer import operations
from roark_producer.errors import InvalidReport
from roark_producer.packing import pack, unpack
from roark_producer.producer import rejection


def reject(bench: Workbench, body: bytes, *, most: int = 100) -> bool:
    digest = hashlib.sha256(body).hexdigest()[:16]
    return bench.run(operations.reject(digest=digest, meta=b'{"field":"call.id"}', packed=pack(body), most=most))


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
    bench.run(operations.tally({"ignored": 3, "unauthorized": 1, "nothing": 0}))
    bench.run(operations.tally({"ignored": 2}))

    assert bench.count("ignored") == 5
    assert bench.count("unauthorized") == 1
    assert "nothing" not in bench.snapshot().counters

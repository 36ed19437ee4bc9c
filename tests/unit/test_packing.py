"""How a report lies in Redis: what was packed comes back, and what is damaged says so."""

import threading

import pytest
import xxhash
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from roark_ledger.packing import TRACE_BYTES, DamagedPayload, NewerPayload, check, pack, payload_size, trace_of, unpack


@given(st.binary(), st.binary())
def test_payload_and_properties_come_back_as_they_were(payload: bytes, properties: bytes) -> None:
    unpacked = unpack(pack(payload, properties))

    assert unpacked.payload == payload
    assert unpacked.properties == properties


@given(st.binary(), st.binary(max_size=300), st.sampled_from([b"", bytes(TRACE_BYTES)]))
def test_how_large_a_payload_is_can_be_told_without_unpacking(payload: bytes, properties: bytes, trace: bytes) -> None:
    packed = pack(payload, properties, trace)

    assert payload_size(packed) == len(payload)
    check(packed)


@given(st.binary(max_size=60))
def test_whatever_lies_there_telling_its_size_does_no_harm(rubbish: bytes) -> None:
    assert payload_size(rubbish) >= 0


def test_what_was_changed_on_the_way_is_found_by_its_checksum() -> None:
    packed = bytearray(pack(b"payload" * 100))
    packed[20] ^= 1

    with pytest.raises(DamagedPayload):
        check(bytes(packed))


def test_without_properties_they_come_back_empty() -> None:
    assert unpack(pack(b"{}")) == (b"{}", b"")


def test_a_report_becomes_much_smaller() -> None:
    payload = b'{"role":"bot","message":"Hello, this is Ada.","time":1760000000000},' * 1_000

    assert len(pack(payload, b'{"tenant":"t-1"}')) * 8 < len(payload)


def test_the_same_report_is_packed_the_same_way() -> None:
    assert pack(b"payload" * 100, b"{}") == pack(b"payload" * 100, b"{}")


def test_every_thread_may_pack_and_unpack() -> None:
    payloads = [bytes([number]) * 100_000 for number in range(8)]
    found: dict[int, bytes] = {}

    def there_and_back(number: int) -> None:
        found[number] = unpack(pack(payloads[number])).payload

    threads = [threading.Thread(target=there_and_back, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [found[number] for number in range(8)] == payloads


@given(st.binary(min_size=1), st.binary(), st.data())
def test_what_was_cut_short_is_damaged(payload: bytes, properties: bytes, data: st.DataObject) -> None:
    packed = pack(payload, properties)
    length = data.draw(st.integers(0, len(packed) - 1))

    with pytest.raises(DamagedPayload):
        unpack(packed[:length])


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\0\0",
        b"\0\0\0\0",
        b"\0\0\0\0not zstd",
        b"\xff\xff\xff\xff" + b"x" * 100,
        b'{"type":"end-of-call-report"}',
        # A frame that says it holds 2^62 bytes.
        b"\0\0\0\0\x28\xb5\x2f\xfd\xe0\0\0\0\0\0\0\0\x40\1\0\0",
    ],
)
def test_what_was_never_packed_is_damaged(packed: bytes) -> None:
    with pytest.raises(DamagedPayload):
        unpack(packed)


@given(st.binary(min_size=1), st.binary(), st.binary(min_size=TRACE_BYTES, max_size=TRACE_BYTES), st.data())
def test_a_bit_that_fell_over_never_brings_another_payload(
    payload: bytes, properties: bytes, trace: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(pack(payload, properties, trace))
    place = data.draw(st.integers(0, len(damaged) - 1))
    damaged[place] ^= 1 << data.draw(st.integers(0, 7))

    try:
        unpacked = unpack(bytes(damaged))
    except DamagedPayload:
        return
    # Only the bit that says that there is a checksum may go unnoticed.
    assert (place, unpacked) == (0, (payload, properties))


@given(st.binary(), st.binary(), st.sampled_from([b"", b"t" * TRACE_BYTES]))
def test_what_an_earlier_version_has_packed_is_read(payload: bytes, properties: bytes, trace: bytes) -> None:
    head = (len(properties) | (1 << 31 if trace else 0)).to_bytes(4, "big")
    packed = head + trace + properties + zstandard.ZstdCompressor(level=1, write_checksum=True).compress(payload)

    assert unpack(packed) == (payload, properties)
    assert trace_of(packed) == trace


def test_the_error_does_not_quote_the_payload() -> None:
    with pytest.raises(DamagedPayload) as caught:
        unpack(pack(b"x", b'{"name":"secret"}')[:-3] + b"secret")

    assert "secret" not in str(caught.value)


def test_a_traces_context_lies_in_front_and_changes_nothing_else() -> None:
    payload, properties, trace = b'{"a":1}', b'{"b":2}', bytes(range(TRACE_BYTES))
    packed = pack(payload, properties, trace)
    assert unpack(packed) == (payload, properties)
    assert trace_of(packed) == trace
    assert len(packed) == len(pack(payload, properties)) + TRACE_BYTES


@given(st.binary(max_size=40))
def test_what_was_packed_without_a_trace_has_none(packed: bytes) -> None:
    assert trace_of(pack(packed)) == b""
    assert len(trace_of(packed)) in {0, TRACE_BYTES}


@pytest.mark.parametrize("bit", range(26, 30))
@pytest.mark.parametrize("trace", [b"", b"t" * 25], ids=["untraced", "traced"])
def test_what_a_newer_version_packed_is_no_damage_and_its_trace_is_not_guessed_at(bit: int, trace: bytes) -> None:
    packed = bytearray(pack(b"{}", b'{"a":1}', trace))
    packed[0] |= 1 << bit - 24
    whole = bytes(packed[:-8])
    newer = whole + xxhash.xxh3_64_digest(whole)

    with pytest.raises(NewerPayload, match="newer version"):
        unpack(newer)
    assert trace_of(newer) == b""


def test_a_bit_that_fell_over_is_damage_and_no_newer_version() -> None:
    packed = bytearray(pack(b"{}"))
    packed[0] |= 1 << 4

    with pytest.raises(DamagedPayload) as caught:
        unpack(bytes(packed))
    assert not isinstance(caught.value, NewerPayload)

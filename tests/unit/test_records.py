"""Reading what the ledger tells: records, histories and the lane, from the bytes that the scripts return."""

import pytest

from roark_ledger.lifecycle import State
from roark_ledger.records.record import Event, Record, parse_entries, parse_history
from roark_ledger.records.snapshot import parse_snapshot

NOW = 1_760_000_000_000


def snapshot_reply(counters: list[bytes] | None = None, lane: list[bytes] | None = None) -> list[object]:
    sizes = [b"fresh", 1, b"retry", 2, b"replay", 3, b"uploading", 4, b"waiting", 5, b"dead", 6, b"discarded", 7]
    return [
        NOW,
        sizes,
        counters or [],
        lane or [],
        [NOW - 3, 0, NOW - 1, 8, 9, 10, 11, 0, 0, 12, 13],
        [b"running", 2, b"sent", 5],
        [],
        [],
    ]


class TestRecord:
    def test_each_field_is_read_from_its_place(self) -> None:
        record = Record.parse(b"u Ab-_1 1760000000000 250 3 1 77 r 1 status-503")

        assert record == Record(
            state=State.UPLOADING,
            fingerprint="Ab-_1",
            accepted_ms=NOW,
            since_ms=NOW + 250,
            attempts=3,
            deaths=1,
            token=77,
            priority="retry",
            revision=True,
            note="status-503",
        )

    def test_a_delivery_of_which_nothing_else_is_worth_telling_has_fewer_fields(self) -> None:
        short, long = b"v Ab 1760000000000 250 1 roark-1", b"v Ab 1760000000000 250 1 0 0 f 0 roark-1"

        assert Record.parse(short) == Record.parse(long)

    def test_a_dash_is_no_note(self) -> None:
        assert Record.parse(b"r Ab 1760000000000 0 0 0 0 f 0 -").note == ""

    @pytest.mark.parametrize(
        ("letter", "state"),
        [
            (b"r", State.READY),
            (b"u", State.UPLOADING),
            (b"w", State.WAITING),
            (b"v", State.DELIVERED),
            (b"d", State.DEAD),
            (b"x", State.DISCARDED),
        ],
    )
    def test_each_letter_is_a_state(self, letter: bytes, state: State) -> None:
        assert Record.parse(letter + b" Ab 1 0 0 0 0 p 0 -").state is state


class TestHistory:
    def test_none_is_none(self) -> None:
        assert parse_history(b"") == ()

    def test_each_line_is_an_event(self) -> None:
        text = b'1 deferred {"status":503,"text":"a b c"}\n2 reclaimed {"deaths":1}\n3 delivered {}\n'

        assert parse_history(text) == (
            Event(1, "deferred", {"status": 503, "text": "a b c"}),
            Event(2, "reclaimed", {"deaths": 1}),
            Event(3, "delivered", {}),
        )

    @pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x1c"])
    def test_a_detail_may_contain_what_other_readers_take_for_the_end_of_a_line(self, separator: str) -> None:
        text = f'1 deferred {{"text":"a{separator}b"}}\n'.encode()
        if separator < " ":
            text = text.replace(separator.encode(), f"\\u{ord(separator):04x}".encode())

        assert parse_history(text)[0].detail == {"text": f"a{separator}b"}


class TestEntry:
    def test_a_call_that_left_no_trace_was_never_seen(self) -> None:
        assert parse_entries(["call-1"], [NOW, [b"", 0, b"0", b"", b"", 0, 0, b"", b"0", b"", b"0"]]) == [None]

    def test_an_erased_call_has_no_record(self) -> None:
        (entry,) = parse_entries(["call-1"], [NOW, [b"", 1, b"0", b"", b"", 0, 0, b"", b"0", b"", b"0"]])

        assert entry is not None
        assert entry.erased
        assert entry.record is None

    @pytest.mark.parametrize("score", [b"1760000000250", b"1760000000250.0", b"1.76000000025e+12"])
    def test_a_score_is_read_however_the_server_prints_it(self, score: bytes) -> None:
        row = [b"r Ab 1 0 0 0 0 f 0 -", 0, score, b"", b"packed", 0, 0, b"", b"0", b"", b"0"]
        (entry,) = parse_entries(["call-1"], [NOW, row])

        assert entry is not None
        assert entry.score_ms == NOW + 250


class TestSnapshot:
    def test_replay_jobs_are_counted_by_state(self) -> None:
        replays = parse_snapshot(snapshot_reply()).replays

        assert (replays.running, replays.sent, replays.paused) == (2, 5, 0)

    def test_the_three_queues_are_one_state(self) -> None:
        snapshot = parse_snapshot(snapshot_reply([b"accepted", b"28"]))

        assert snapshot.states[State.READY] == 6
        assert snapshot.queues["replay"] == 3
        assert snapshot.balanced

    def test_the_delivered_and_the_erased_are_counted_and_not_listed(self) -> None:
        snapshot = parse_snapshot(snapshot_reply([b"accepted", b"33", b"delivered", b"4", b"erased", b"1"]))

        assert snapshot.states[State.DELIVERED] == 4
        assert snapshot.states[State.ERASED] == 1
        assert snapshot.balanced

    def test_a_sum_that_does_not_hold_is_not_balanced(self) -> None:
        assert not parse_snapshot(snapshot_reply([b"accepted", b"29"])).balanced

    def test_what_was_never_counted_is_zero(self) -> None:
        assert parse_snapshot(snapshot_reply()).total("duplicates") == 0

    def test_the_salt_is_no_counter(self) -> None:
        assert "salt" not in parse_snapshot(snapshot_reply([b"salt", b"a1b2c3"])).counters

    def test_a_lane_of_which_nothing_is_known_is_open(self) -> None:
        lane = parse_snapshot(snapshot_reply()).lane

        assert (lane.state, lane.reason, lane.by, lane.since_ms, lane.last_claim_ms) == ("open", "", "", 0, 0)

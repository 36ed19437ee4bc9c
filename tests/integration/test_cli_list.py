"""`roark-ingest list` of any state, and `set-aside`, on a real Valkey."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from clocks import Clock
from commands import CommandLine
from redis import Redis
from servers import Server

from roark_ledger.ids import CallId
from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import delivery, desk, intake, upkeep
from roark_ledger.moves.delivery import Bury, Defer, Deliver, Held
from roark_ledger.moves.intake import Acceptable
from roark_ledger.packing import pack
from roark_ledger.places import PLACES
from roark_ledger.server.connection import connect
from roark_ops.desk.finding import Audio, Filter
from roark_ops.desk.pages import Cursor, Pages

MANY = 100_000
_NAMES = {"dead": "dead letter", "discarded": "discarded letter"}


@pytest.fixture
def line(valkey: Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    monkeypatch.chdir(tmp_path)
    made = CommandLine(valkey.url, prefix, tmp_path)
    yield made
    made.ledger.close()


@pytest.fixture
def one_of_each(line: CommandLine) -> CommandLine:
    """One call in each state, named by it."""
    for name in ("waiting", "delivered", "unconfirmed", "dead", "discarded", "uploading", "ready"):
        line.accept(f"c-{name}")
        match name:
            case "waiting":
                line.defer("c-waiting", message="busy")
            case "delivered":
                line.deliver("c-delivered", "roark-1")
            case "unconfirmed":
                line.deliver("c-unconfirmed", "")
            case "dead" | "discarded":
                line.bury(f"c-{name}")
            case "uploading":
                line.claim("c-uploading")
    assert line.run("dlq", "discard", "c-discarded", "--yes").exit_code == 0
    return line


def ids(line: CommandLine, *options: str) -> list[str]:
    return [one["call_id"] for one in line.run("list", "--json", *options).documents]


class TestList:
    @pytest.mark.parametrize("state", list(PLACES))
    def test_each_state_has_its_own(self, one_of_each: CommandLine, state: str) -> None:
        assert ids(one_of_each, "--state", state) == [f"c-{state}"]
        assert f"1 {_NAMES.get(state, f'{state} report')}." in one_of_each.run("list", "--state", state).stdout

    def test_without_a_state_it_shows_all_that_is_neither_delivered_nor_discarded(
        self, one_of_each: CommandLine
    ) -> None:
        assert ids(one_of_each) == ["c-ready", "c-uploading", "c-waiting", "c-unconfirmed", "c-dead"]
        assert ids(one_of_each, "--state", "dead", "--state", "ready") == ["c-ready", "c-dead"]

    def test_it_says_since_when_why_and_when_it_is_tried_next(self, one_of_each: CommandLine) -> None:
        (waiting,) = one_of_each.run("list", "--state", "waiting", "--json").documents
        assert (waiting["reason"], waiting["status"], waiting["message"], waiting["attempts"]) == (
            "http_503",
            503,
            "busy",
            1,
        )
        assert waiting["since"] < waiting["next"]
        table = one_of_each.run("list", "--state", "waiting").stdout
        assert "http_503 busy" in table
        assert re.search(r"in (5\d|4\d) s|in 1 min", table)
        assert "Next: roark-ingest why c-waiting" in table

    def test_a_report_that_came_back_still_says_why(self, line: CommandLine) -> None:
        line.accept("c-1")
        line.defer("c-1", delay_ms=0, message="busy")
        line.ledger.run(upkeep.promote(most=10))

        (ready,) = line.run("list", "--state", "ready", "--json").documents

        assert (ready["state"], ready["reason"], ready["message"], ready["next"]) == ("ready", "http_503", "busy", None)

    def test_one_that_was_sent_again_does_not_say_what_it_died_of(self, line: CommandLine) -> None:
        line.bury_all("c-1", message="bad")
        line.replay("c-1")

        (ready,) = line.run("list", "--json").documents

        assert (ready["reason"], ready["message"]) == ("", None)

    def test_it_takes_the_filters_of_the_dead_letters(self, line: CommandLine) -> None:
        line.accept("c-1", properties=b'{"tenant":"acme"}', call={"id": "c-1", "assistantId": "A7"})
        line.defer("c-1")
        line.accept("c-2", call={"id": "c-2", "assistantId": "A8"})
        assert ids(line, "--died-of", "http_5*") == ids(line, "--status", "503") == ["c-1"]
        assert ids(line, "--assistant", "A8") == ids(line, "--attempts", "..0") == ["c-2"]
        assert ids(line, "--property", "tenant=acme") == ids(line, "--text", "ACME") == ["c-1"]
        assert ids(line, "--since", "1h") == ids(line, "--audio", "none") == ["c-2", "c-1"]
        assert ids(line, "--until", "1h") == []
        assert "No reports match (2 in total)." in line.run("list", "--until", "1h").stdout

    def test_what_lost_its_audio_stays_in_sight_wherever_it_is(self, moving: Ledger, clock: Clock) -> None:
        for name in ("c-ready", "c-dead", "c-delivered", "c-good"):
            ends = clock.now_ms + (60_000 if name != "c-good" else 600_000)
            whole = Acceptable(CallId(name), "print", pack(b"{}"), ends)
            moving.run(intake.accept([whole], revisions="record", per_wakeup=64))
        held = {one.call_id: one for one in take(moving, 4)}
        moving.run(delivery.bury([Bury(held[CallId("c-dead")], "http_422", b"{}")]))
        clock.advance(60_001)
        deliver(moving, held[CallId("c-delivered")])
        moving.run(delivery.release([held[CallId("c-ready")], held[CallId("c-good")]]))

        found = Pages(moving).walk(Filter(audio=Audio.ENDED), list(PLACES), None)

        assert [letter.call_id for letter in found] == ["c-ready", "c-dead", "c-delivered"]

    def test_csv_and_json_say_the_same(self, one_of_each: CommandLine) -> None:
        head, *rows = csv.reader(one_of_each.run("list", "--csv").stdout.splitlines())
        documents = one_of_each.run("list", "--json").documents
        assert [dict(zip(head, row, strict=True))["call_id"] for row in rows] == [one["call_id"] for one in documents]
        assert head == list(documents[0])

    def test_it_goes_on_where_it_was_cut_through_all_states(self, one_of_each: CommandLine) -> None:
        every = [option for state in PLACES for option in ("--state", state)]
        seen, more = [], []
        while True:
            ended = one_of_each.run("list", "--json", "--limit", "1", *every, *more)
            seen += [one["call_id"] for one in ended.documents]
            if "--cursor" not in ended.stderr:
                break
            more = ["--cursor", ended.stderr.split("--cursor '")[1].split("'")[0]]
        assert seen == [f"c-{state}" for state in PLACES]

    @pytest.mark.parametrize(
        "options",
        [("--state", "asleep"), ("--cursor", "1.2.nowhere.3.c-1"), ("--json", "--csv"), ("--all", "--limit", "3")],
    )
    def test_it_refuses_what_it_cannot_read(self, line: CommandLine, options: tuple[str, ...]) -> None:
        ended = line.run("list", *options)
        assert (ended.exit_code, ended.stdout) == (2, "")

    def test_nothing_says_so(self, line: CommandLine) -> None:
        assert line.run("list", "--state", "waiting").stdout == "No waiting reports.\n"

    def test_what_a_person_must_not_see_is_cleaned(self, line: CommandLine) -> None:
        line.accept("c-1")
        line.defer("c-1", message="\x1b[31m+15550101234")
        shown = line.run("list").stdout
        assert "\x1b" not in shown
        assert "5550101234" not in shown


@pytest.fixture
def moving(valkey: Server, prefix: str, clock: Clock) -> Iterator[Ledger]:
    with connect(valkey.url) as client:
        yield Ledger(client, prefix=prefix, clock=clock)


def accept(ledger: Ledger, *call_ids: str) -> None:
    reports = [Acceptable(CallId(call_id), "print", pack(b"{}")) for call_id in call_ids]
    ledger.run(intake.accept(reports, revisions="record", per_wakeup=64))


def take(ledger: Ledger, number: int) -> list[Held]:
    claimed = ledger.run(delivery.claim(wanted=number, lease_ms=9000, listen_ms=0, most_bytes=10**9)).reports
    return [Held(one.call_id, one.token) for one in claimed]


def deliver(ledger: Ledger, *held: Held) -> None:
    ledger.run(delivery.deliver([Deliver(one, "roark-1", b"{}") for one in held], keep_payloads=False))


class TestPagesOfWhatMoves:
    def read_on(self, ledger: Ledger, state: State, behind: Cursor | None) -> list[str]:
        return [letter.call_id for letter in Pages(ledger).walk(Filter(), [state], behind)]

    def first(self, ledger: Ledger, state: State, number: int) -> Cursor:
        page = Pages(ledger).page(Filter(), [state], limit=number, behind=None)
        assert page.following
        return page.following

    def test_what_comes_later_is_left_out(self, moving: Ledger, clock: Clock) -> None:
        accept(moving, "c-1", "c-2")
        cursor = self.first(moving, State.READY, 1)
        clock.advance(1)
        accept(moving, "c-3")

        assert self.read_on(moving, State.READY, cursor) == ["c-2"]
        assert self.read_on(moving, State.READY, None) == ["c-1", "c-2", "c-3"]

    def test_what_was_shown_and_waits_anew_is_not_shown_again(self, moving: Ledger, clock: Clock) -> None:
        accept(moving, "c-1", "c-2")
        first, second = take(moving, 2)
        moving.run(delivery.defer([Defer(first, 5000, "http_503", b"{}"), Defer(second, 5001, "http_503", b"{}")]))
        cursor = self.first(moving, State.WAITING, 1)
        clock.advance(5000)
        moving.run(upkeep.promote(most=10))
        moving.run(delivery.defer([Defer(one, 90_000, "http_503", b"{}") for one in take(moving, 1)]))

        assert self.read_on(moving, State.WAITING, cursor) == ["c-2"]

    def test_a_lease_that_is_prolonged_meanwhile_shows_nothing_twice(self, moving: Ledger, clock: Clock) -> None:
        names = [f"c-{number:03}" for number in range(250)]
        accept(moving, *names)
        held = take(moving, 250)
        seen = []
        for letter in Pages(moving).walk(Filter(), [State.UPLOADING], None):
            if len(seen) == 120:
                clock.advance(5)
                moving.run(delivery.renew(held[:50], lease_ms=9000))
            seen.append(letter.call_id)

        assert sorted(seen) == names

    def test_the_latest_delivered_come_first_whatever_is_delivered_or_revised_meanwhile(
        self, moving: Ledger, clock: Clock
    ) -> None:
        for name in ("c-1", "c-2", "c-3", "c-4"):
            accept(moving, name)
            deliver(moving, *take(moving, 1))
            clock.advance(10)
        cursor = self.first(moving, State.DELIVERED, 2)
        accept(moving, "c-5")
        deliver(moving, *take(moving, 1))
        assert self.read_on(moving, State.DELIVERED, cursor) == ["c-2", "c-1"]

        newer = Acceptable(CallId("c-3"), "newer", pack(b"{}"))
        moving.run(intake.accept([newer], revisions="upload", per_wakeup=64))
        deliver(moving, *take(moving, 1))

        assert self.read_on(moving, State.DELIVERED, cursor) == ["c-2", "c-1"]
        assert self.read_on(moving, State.DELIVERED, None)[:2] == ["c-3", "c-5"]

    def test_one_that_was_confirmed_late_stands_among_the_latest_and_pages_go_on_behind_it(
        self, moving: Ledger, clock: Clock
    ) -> None:
        for name in ("c-1", "c-2", "c-3", "c-4"):
            accept(moving, name)
            if name == "c-2":
                moving.run(delivery.deliver([Deliver(one, "", b"{}") for one in take(moving, 1)], keep_payloads=False))
            else:
                deliver(moving, *take(moving, 1))
            clock.advance(10)
        moving.run(desk.confirm(["c-2"], detail=b"{}"))
        cursor = self.first(moving, State.DELIVERED, 1)

        assert cursor.call_id == "c-2"
        assert self.read_on(moving, State.DELIVERED, cursor) == ["c-4", "c-3", "c-1"]


class TestSetAside:
    @pytest.mark.parametrize("state", ["ready", "waiting"])
    def test_what_waits_becomes_a_dead_letter_with_who_and_why(self, line: CommandLine, state: str) -> None:
        line.accept("c-1")
        if state == "waiting":
            line.defer("c-1")

        ended = line.run("set-aside", "c-1", "--reason", "test call", "--as", "ada")

        assert (ended.exit_code, ended.stdout) == (0, "1 report set aside.\n")
        assert line.state("c-1") == "dead"
        (letter,) = line.run("dlq", "list", "--json").documents
        assert (letter["reason"], letter["message"]) == ("set_aside", "ada: test call")
        assert "A person set the report aside." in line.run("why", "c-1").stdout
        assert line.entry("c-1").history[-1].detail == {"by": "ada", "reason": "test call"}
        (deed,) = line.run("log", "list", "--json").documents
        assert (deed["action"], deed["by"], deed["reason"], deed["calls"]) == ("set-aside", "ada", "test call", ["c-1"])

    def test_a_replay_brings_it_back_with_its_report(self, line: CommandLine) -> None:
        line.accept("c-1")
        line.run("set-aside", "c-1", "--reason", "wait for ticket 4711")
        line.replay("c-1")

        line.deliver("c-1")

        assert line.snapshot().accounts.holds

    def test_it_wants_a_reason(self, line: CommandLine) -> None:
        line.accept("c-1")
        assert line.run("set-aside", "c-1").exit_code == 2
        assert line.state("c-1") == "ready"

    @pytest.mark.parametrize(
        ("state", "hint"),
        [
            ("dead", "it is a dead letter. See roark-ingest dlq show c-dead"),
            ("discarded", "roark-ingest dlq restore c-discarded"),
            ("uploading", "it is being uploaded. See the result: roark-ingest why c-uploading"),
            ("delivered", "it is delivered"),
            ("unheard", "it is unknown"),
        ],
    )
    def test_what_is_elsewhere_stays_there_and_says_what_to_type(
        self, one_of_each: CommandLine, state: str, hint: str
    ) -> None:
        ended = one_of_each.run("set-aside", f"c-{state}", "c-ready", "--reason", "why", "--json")

        assert ended.exit_code == 1
        assert [one["result"] for one in ended.documents][1] == "set aside"
        assert hint in ended.stderr
        if state != "unheard":
            assert one_of_each.state(f"c-{state}") == state

    @pytest.mark.parametrize("state", ["ready", "waiting"])
    def test_discard_of_what_waits_points_to_it(self, one_of_each: CommandLine, state: str) -> None:
        ended = one_of_each.run("dlq", "discard", f"c-{state}", "--yes")

        assert ended.exit_code == 1
        assert f"roark-ingest set-aside --reason TEXT c-{state}" in ended.stderr


@pytest.mark.many
@pytest.mark.timeout(900)
@pytest.mark.parametrize("state", [State.READY, State.WAITING, State.DELIVERED])
def test_a_hundred_thousand_are_paged_with_redis_free_for_others(valkey: Server, prefix: str, state: State) -> None:
    with connect(valkey.url) as client:
        ledger = Ledger(client, prefix=prefix)
        for start in range(0, MANY, 500):
            names = [f"0193b2c4-6f1d-7c3e-9a55-{number:012d}" for number in range(start, start + 500)]
            accept(ledger, *names)
            if state is State.WAITING:
                detail = b'{"attempt":1,"status":503,"reason":"http_503","message":"busy"}'
                ledger.run(delivery.defer([Defer(one, 10**8, "http_503", detail) for one in take(ledger, 500)]))
            elif state is State.DELIVERED:
                deliver(ledger, *take(ledger, 500))
        before = _cpu_seconds(client)
        seen = [letter.call_id for letter in Pages(ledger).walk(Filter(), [state], None)]
        page_ms = 1000 * (_cpu_seconds(client) - before) / (MANY / 100)
        print(f"{state}: {page_ms:.2f} ms of Redis's CPU a page")
        assert len(seen) == len(set(seen)) == MANY
        assert page_ms < 2


def _cpu_seconds(client: "Redis") -> float:
    found = client.info("cpu")
    return float(found["used_cpu_user"]) + float(found["used_cpu_sys"])

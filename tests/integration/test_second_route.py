"""Roark's other way in: what is sent there, what its answers mean, and how a person switches to it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from call_objects import call_bytes
from commands import CommandLine
from delivering import Bench
from replaying import replay_at_once
from servers import Server

from roark_ledger.lifecycle import State
from roark_ledger.moves import delivery as moves
from roark_ledger.moves.delivery import Bury, Held
from roark_producer.vapi.calls import report_of

RECORDING = {"recordingUrl": "https://s/a.wav", "messages": [{"role": "user", "message": "Hi", "time": 1}]}


def report(call_id: str, **changes: Any) -> bytes:
    return report_of(call_bytes(call_id, **{"artifact": RECORDING} | changes))


class Roark:
    """A Roark that keeps what it is sent, by path; a path that is gone answers 404."""

    def __init__(self, *gone: str) -> None:
        self.gone = set(gone)
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.known: set[str] = set()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path, body = request.url.path, json.loads(request.content)
        if path in self.gone:
            return httpx.Response(404, json={"type": "not_found", "code": "not_found", "message": "No such route"})
        self.sent.append((path, body))
        if path == "/v1/vapi/call":
            return httpx.Response(200, json={"data": {"callId": "r-vapi"}})
        if body["externalId"] in self.known:
            return httpx.Response(409, json={"type": "validation", "code": "duplicate", "message": "externalId exists"})
        self.known.add(body["externalId"])
        return httpx.Response(201, json={"data": {"id": f"r-{body['externalId']}"}})

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.sent]


@pytest.fixture
async def bench(valkey: Server, prefix: str) -> AsyncIterator[Bench]:
    made = Bench(valkey.url, prefix)
    yield made
    made.close()


@pytest.fixture
def line(valkey: Server, prefix: str, tmp_path: Path) -> CommandLine:
    return CommandLine(valkey.url, prefix, tmp_path)


async def test_a_report_goes_there_mapped_and_its_record_says_so(bench: Bench, line: CommandLine) -> None:
    roark = Roark()
    bench.submit([report("call-1")])
    async with bench.delivery(handler=roark, route="call") as delivery:
        await bench.settle_all(delivery)

    ((path, body),) = roark.sent
    assert (path, body["externalId"], body["recordingUrl"]) == ("/v1/call", "call-1", "https://s/a.wav")
    record = bench.look("call-1").record
    assert record
    assert (record.state, record.note) == (State.DELIVERED, "r-call-1")
    told = line.run("why", "call-1")
    assert "POST /v1/call" in told.stdout
    assert line.run("why", "call-1", "--json").document["route"] == "call"


async def test_409_there_is_a_delivery(bench: Bench, line: CommandLine) -> None:
    roark = Roark()
    roark.known.add("call-1")
    bench.submit([report("call-1")])
    async with bench.delivery(handler=roark, route="call", receipt_share=1) as delivery:
        await bench.settle_all(delivery)

    snapshot = bench.snapshot()
    assert (snapshot.states[State.DELIVERED], snapshot.unconfirmed) == (1, 0)
    assert "known by its externalId" in line.run("why", "call-1").stdout


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"artifact": {"messages": RECORDING["messages"]}}, "route_needs_recording"),
        ({"startedAt": None, "createdAt": None, "endedAt": None}, "route_needs_start"),
    ],
)
async def test_a_call_that_it_cannot_take_is_a_dead_letter_that_says_so(
    bench: Bench, line: CommandLine, changes: dict[str, Any], code: str
) -> None:
    roark = Roark()
    bench.submit([report("call-1", **changes), report("call-2")])
    async with bench.delivery(handler=roark, route="call") as delivery:
        await bench.settle_all(delivery)

    record = bench.look("call-1").record
    assert record
    assert (record.state, record.note) == (State.DEAD, code)
    assert bench.count(State.DELIVERED) == 1
    told = line.run("dlq", "show", "call-1").stdout
    assert "POST /v1/call" in told
    assert "roark-ingest route vapi" in told or "dlq edit" in told


async def test_a_way_that_is_gone_pauses_names_the_command_and_a_person_switches(
    bench: Bench, line: CommandLine
) -> None:
    roark = Roark("/v1/vapi/call")
    bench.submit([report(f"call-{number}") for number in range(8)])
    async with bench.delivery(handler=roark, drain_seconds=2) as delivery:
        await delivery.drain()
        assert bench.snapshot().lane.state == "held"
        told = line.run("status").stdout
        assert "roark-ingest route call" in told
        assert line.run("route").stdout.startswith("Reports go to POST /v1/vapi/call")
        refused = line.run("route", "call", stdin=b"y\n")
        assert refused.exit_code == 2, "nobody can be asked"
        assert "would make two calls of one" in refused.stderr
        assert "Re-run with --yes" in refused.stderr
        assert bench.snapshot().lane.route == ""
        done = line.run("route", "call", "--reason", "Roark, ticket 1", "--yes")
        assert done.exit_code == 0, done.stderr

        await bench.settle_all(delivery)

    assert bench.count(State.DELIVERED) == 8
    assert set(roark.paths) == {"/v1/call"}
    assert "ticket 1" in line.run("log", "list", "--json").stdout
    assert line.run("route", "--json").document == {"route": "call", "chosen": "call", "setting": "vapi"}
    assert line.run("route", "setting", "--yes").exit_code == 0
    assert bench.snapshot().lane.route == ""
    assert line.run("route", "fax").exit_code == 2


async def test_what_timed_out_by_one_way_is_not_sent_by_the_other(bench: Bench) -> None:
    tries: list[str] = []

    def slow_once(request: httpx.Request) -> httpx.Response:
        tries.append(request.url.path)
        if len(tries) == 1:
            raise httpx.ReadTimeout("late")
        return httpx.Response(200, json={"data": {"callId": "r", "id": "r"}})

    bench.submit([report("call-1")])
    async with bench.delivery(handler=slow_once, route="vapi", drain_seconds=0.3) as delivery:
        await delivery.drain()
    async with bench.delivery(handler=slow_once, route="call") as delivery:
        await bench.settle_all(delivery)

    assert tries == ["/v1/vapi/call", "/v1/vapi/call"]


async def test_a_letter_that_is_bound_to_a_way_that_is_gone_says_so_and_is_freed_by_hand(
    bench: Bench, line: CommandLine
) -> None:
    roark = Roark("/v1/vapi/call")
    bench.submit([report("call-1")])
    (sent,) = bench.claim().reports
    bench.ledger.run(moves.bury([Bury(Held(sent.call_id, sent.token), "http_404", b'{"status":404,"over":"alone"}')]))
    told = line.run("why", "call-1").stdout
    assert "POST /v1/vapi/call may have reached Roark" in told
    assert "roark-ingest route --free call-1" in told

    assert line.run("route", "--free", "call-1").exit_code == 2, "nobody can be asked"
    assert line.run("route", "call", "--free", "call-1", "--yes").exit_code == 2
    freed = line.run("route", "--free", "call-1", "--reason", "not there", "--yes")
    assert (freed.exit_code, freed.stdout) == (0, "1 report freed.\n")
    assert line.run("route", "--free", "call-9", "--yes").exit_code == 1
    assert "may have reached Roark" not in line.run("why", "call-1").stdout

    line.run("route", "call", "--yes")
    replay_at_once(bench.ledger, ["call-1"])
    async with bench.delivery(handler=roark) as delivery:
        await bench.settle_all(delivery)
    assert roark.paths == ["/v1/call"]

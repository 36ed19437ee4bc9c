"""`roark-ingest erase` of one person's number in forty forms: a dump of everything holds neither it nor an ID then."""

# ruff: noqa: RUF001 digits of other scripts are what this is about

import gzip
import json
import os
import shelve
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from commands import CommandLine
from servers import running

from roark_ledger.ids import CallId
from roark_ledger.moves.delivery import Bury, Held
from roark_ops.erasing.flower_store import calls_in
from roark_ops.erasing.numbers import PhoneNumber
from roark_ops.erasing.searching import Sought
from roark_producer.disk.frames import Spooled, frames_in, unpacked
from roark_producer.disk.segments import salt_of
from roark_producer.disk.spool import Spool
from roark_worker.flower.report_events import events_of

NUMBER, OTHER, NAME = "+33612345678", "+33698765432", "Marie Curie"
# Each is the number and nothing else.
WHOLE: tuple[Any, ...] = (
    NUMBER, "+33 6 12 34 56 78", "+33-6-12-34-56-78", "+33.6.12.34.56.78", "+33 (0)6 12 34 56 78", "(+33) 612345678",
    "0033612345678", "011 33 6 12 34 56 78", "33612345678", "0612345678", "06 12 34 56 78", "06.12.34.56.78",
    "06/12/34/56/78", "+33\u20116\u201112\u201134\u201156\u201178", "+33\u00a06\u202f12\u200934 56 78",
    "\u202a+33612345678\u202c", "06 12\n34 56 78",
    "\u200e0612345678", "＋３３６１２３４５６７８", "٠٦١٢٣٤٥٦٧٨", "tel:+33-6-12-34-56-78", "tel:+33612345678;ext=5",
    "tel:0612345678;phone-context=+33", "sip:+33612345678@carrier.example;user=phone;transport=tls",
    "sips:33612345678@10.0.0.1:5061", '"Marie" <sip:+33612345678@carrier.example>;tag=1', "whatsapp:+33612345678",
    "+33612345678 ext. 12", "%2B33612345678", 33612345678, 33612345678.0, 3.3612345678e10, "3.3612345678E10",
    "33612345678.0", "3️⃣3️⃣6️⃣1️⃣2️⃣3️⃣4️⃣5️⃣6️⃣7️⃣8️⃣", "𝟑𝟑𝟔𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖",
    "&#43;&#51;&#51;&#54;&#49;&#50;&#51;&#52;&#53;&#54;&#55;&#56;",
    "0\u03326\u03321\u03322\u03323\u03324\u03325\u03326\u03327\u03328", "06\u316412\u316434\u316456\u316478",
)  # fmt: skip
# Each has it somewhere in it, or is it in one reading of several.
MENTIONS: tuple[Any, ...] = (
    "my number is +33 6 12 34 56 78, call me",
    "c'est le 06 12 34 56 78 !", "zero… 06, 12, 34, 56, 78", "allô\n06 12\n34 56 78",
    "https://wa.me/33612345678", "https://crm.example/?phone=%2B33%206%2012%2034%2056%2078&x=1",
    "https://crm.example/?phone=%252B33612345678", "612345678", 612345678, "lead_33612345678_fr",
    "nr０６１２３４５６７８", "06*12*34*56*78", "06|12|34|56|78", "06•12•34•56•78", "06 → 12 → 34 → 56 → 78",
    "06; 12; 34; 56; 78", "33'612'345'678", "+33&nbsp;6&nbsp;12&nbsp;34&nbsp;56&nbsp;78",
    "+33 <b>6</b> 12 34 <br/>56 78",
    "06 '12' 34 \"56\" 78", "06\\12\\34\\56\\78", -33612345678, [0, 6, 1, 2, 3, 4, 5, 6, 7, 8],
    ["06", "12", "34", "56", "78"],
    {"prefix": "06", "rest": "12345678"},
    [{"role": "user", "message": "it is 06 12"}, {"role": "user", "message": "34 56 78"}],
)  # fmt: skip
NOBODYS: tuple[Any, ...] = (
    "+33612345679",
    "+336123456780",
    OTHER,
    1733612345678,
    "0612345",
    "1612345678",
    0.3361,
)
FIELDS = [
    *({"customer": {"number": form}} for form in WHOLE),
    *({"note": form} for form in MENTIONS),
    {"by_number": {NUMBER: {"calls": 1}}},
    {"by_number": {"0612345678": 1}},
    {"numbers": ["+33100000000", ["06 12 34 56 78"]]},
    {"tool": {"arguments": json.dumps({"phone": "06 12 34 56 78"})}},
    {"tool": {"arguments": json.dumps({"body": json.dumps({"to": "+33\u20116\u201112345678"})})}},
    {"transcript": f"AI: Bonjour {NAME}\nUser: oui"},
]


@pytest.fixture
def line(prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    monkeypatch.chdir(tmp_path)
    # What is packed in Redis's files could not be searched here.
    with running(rdbcompression="no") as server:
        made = CommandLine(server.url, prefix, tmp_path)
        made.environment["SERVER_FOLDER"] = str(server.socket.parent)
        yield made
        made.ledger.close()


def report(call_id: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "end-of-call-report", "call": {"id": call_id}} | fields


def accept(line: CommandLine, reports: list[dict[str, Any]]) -> None:
    # Half of them with escapes, as Python writes them; half as JavaScript does.
    texts = [json.dumps(one, ensure_ascii=place % 2 == 0) for place, one in enumerate(reports)]
    ended = line.run("enqueue", "-", "--json", stdin="\n".join(texts).encode())
    assert {one["result"] for one in ended.documents} == {"accepted"}


def flowers_store(data: Path, *call_ids: str) -> None:
    from flower.events import EventsState

    state = EventsState(max_tasks_in_memory=1000)
    for clock, call_id in enumerate(call_ids, start=1):
        for event in events_of(Bury(Held(CallId(call_id), 1), "http_422", b'{"attempt":1,"ms":1}'), time.time()):
            fields = {"hostname": "worker", "pid": 1, "clock": clock, "local_received": time.time()}
            state.event({"type": event.type} | fields | dict(event.fields))
    with shelve.open(str(data / "flower")) as store:
        store["events"], store["counter"] = state, {}


def pieces(content: bytes) -> Iterator[bytes]:
    """What lies there, and what is packed in it."""
    yield content
    at = -1
    while (at := content.find(b"\x28\xb5\x2f\xfd", at + 1)) >= 0:
        try:
            yield zstandard.ZstdDecompressor().decompressobj().decompress(content[at:])
        except zstandard.ZstdError:
            continue


def dump(line: CommandLine) -> dict[str, list[bytes]]:
    """Everything there is, by where it is."""
    client, found = line.ledger.client, {}
    for key in client.keys("*"):
        kinds: dict[bytes, Any] = {
            b"hash": lambda k: [each for pair in client.hgetall(k).items() for each in pair],
            b"zset": lambda k: client.zrange(k, 0, -1),
            b"set": client.smembers,
            b"list": lambda k: client.lrange(k, 0, -1),
            b"string": lambda k: [client.get(k)],
            b"stream": lambda k: [repr(client.xrange(k)).encode()],
        }
        found[key.decode()] = [piece for value in kinds[client.type(key)](key) for piece in pieces(value)]
    for folder in (Path(line.environment["SERVER_FOLDER"]), line.folder / "data"):
        for path in folder.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                if path.suffix == ".gz":
                    content = gzip.decompress(content)
                found[str(path)] = list(pieces(content))
                if "spool" in path.parts:
                    found[str(path)] += [unpacked(one).body for one in frames_in(content, salt_of(path))[0]]
    return found


def test_a_person_in_forty_forms_is_erased_from_everywhere_and_nobody_else(
    line: CommandLine, record_property: Callable[[str, object], None]
) -> None:
    ids = [f"call-of-marie-{place:02}-x" for place in range(len(FIELDS))]
    others = [f"call-of-otto-{place:02}-x" for place in range(len(NOBODYS))]
    accept(line, [report(call_id, fields) for call_id, fields in zip(ids, FIELDS, strict=True)])
    accept(
        line, [report(call_id, {"customer": {"number": form}}) for call_id, form in zip(others, NOBODYS, strict=True)]
    )
    line.bury(ids[0], message=f"customer.number {NUMBER} is not valid")
    line.bury(ids[1])
    line.run("dlq", "replay", "--yes", "--delay", "0", "--reason", f"{NAME} asked", "--text", ids[0], "--no-ramp")
    data = line.folder / "data"
    data.mkdir()
    assert line.run("dlq", "export", "--text", ids[1], "data/of-marie.ndjson.gz").exit_code == 0
    line.run("set-aside", "--reason", f"test call of {NAME}", ids[2])
    unusable = json.dumps({"type": "end-of-call-report", "customer": {"number": "06 12 34 56 78"}}).encode()
    line.run("enqueue", "--keep-rejected", "-", stdin=gzip.compress(unusable))
    spool = Spool(data / "spool", most_bytes=10**9)
    for call_id, number in (("call-of-marie-spool", "tel:0612345678"), (others[0], OTHER)):
        spool.append([Spooled(json.dumps(report(call_id, {"customer": {"number": number}})).encode(), {}, 1)])
    spool.seal()
    (data / "logs").mkdir()
    log = f"12:00:00 info delivered call_id={ids[3]} attempt=1\n12:00:01 info other call_id={others[1]}\n"
    log += f"12:00:02 warning refused number 06 12 34 56 78 of {NAME}\n"
    (data / "logs" / "worker.log").write_text(log)
    (data / "edit" / "tmpx").mkdir(parents=True)
    (data / "edit" / "tmpx" / "report.json").write_text(NUMBER)
    (data / ".old.ndjson.0123.partial").write_text(NUMBER)
    os.utime(data / ".old.ndjson.0123.partial", (0, 0))
    flowers_store(data, *ids[:5], *others[:2])
    (line.folder / "number").write_text(NUMBER + "\n")
    (line.folder / "name").write_text(NAME + "\n")

    before = dump(line)
    holding = [where for where, found in before.items() if any(b"call-of-marie" in each for each in found)]
    for part in (":logbook", ":payloads", ".aof", "worker.log", ".spool", "data/flower", "of-marie.ndjson.gz"):
        assert [where for where in holding if part in where], part

    listed = line.run("erase", "--phone-file", "number", "--text-file", "name", "--dry-run", "--json").documents
    classes = {one["call_id"]: one["class"] for one in listed if one["in"] == "payloads"}
    assert {classes[call_id] for call_id in ids[: len(WHOLE)]} == {"is"}
    assert {classes[call_id] for call_id in ids[len(WHOLE) : len(WHOLE) + len(MENTIONS)]} == {"mentions"}
    assert {one["call_id"] for one in listed} - {None} == {*ids, "call-of-marie-spool"}
    told = line.run("erase", "--phone-file", "number", "--text-file", "name", "--dry-run").stdout
    assert not Sought((PhoneNumber.read(NUMBER),)).is_in(told)

    ended = line.run(
        "erase", "--phone-file", "number", "--text-file", "name", "--mentions", "--yes", "--json",
        "--reason", f"{NAME} ({NUMBER}) asked",
    )  # fmt: skip

    assert ended.exit_code == 0, ended.stderr
    became = {place["place"]: place["became"] for place in ended.document["places"]}
    assert became["reports"] == became["log of actions and replay jobs"] == became["Redis's append-only file"] == "done"
    assert became["log files"] == became["left-over files"] == became["Flower"] == became["spool"] == "done"
    assert became["Roark"] == became["Vapi"] == "left"
    assert became["backups"] == "not looked at"
    sought = Sought((PhoneNumber.read(NUMBER),), (NAME,))
    everything = dump(line)
    for where, contents in everything.items():
        for content in contents:
            text = content.decode("utf-8", "replace")
            assert "call-of-marie" not in text, where
            assert NAME not in text, where
            assert not sought.is_in(text), where
    # And nobody else's.
    assert {one["call_id"] for one in line.run("list", "--state", "ready", "--json", "--all").documents} == set(others)
    assert others[1] in (data / "logs" / "worker.log").read_text()
    assert (data / "logs" / "worker.log").stat().st_size == len(log)
    with shelve.open(str(data / "flower"), "r") as store:
        assert set(calls_in(store["events"]).values()) == set(others[:2])
    assert any(others[0].encode() in content for content in everything[str(next((data / "spool").glob("*.spool")))])
    assert line.run("audit").exit_code == 0
    record_property(
        "attack",
        f"`erase` of a number in {len(FIELDS)} forms | a dump of Redis, its files, logs, spool, exports and Flower's "
        f"store holds neither it nor an ID; {len(NOBODYS)} other numbers stay",
    )
    (deed,) = line.run("log", "list", "--action", "set-aside", "--json").documents
    assert (deed["reason"], deed["count"]) == ("***", 1)
    assert len(deed["calls"][0]) == 40, "its tombstone"

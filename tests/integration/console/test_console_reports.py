"""Lists of reports: the filter is the address, pages miss nothing, and a call tells its story."""

import re
from html import unescape

from commands import PHONE, TRANSCRIPT, CommandLine
from console_pages import filled, text
from consoles import ConsoleUnderTest, opened

from roark_ops.console.access.roles import Role

FILTERS = [
    ({"state": "dead"}, ["call-1", "call-2", "call-3", "call-4"]),
    ({"state": "dead", "reason": "http_400"}, ["call-4"]),
    ({"state": "dead", "text": "STARTEDAT"}, ["call-1", "call-2", "call-3"]),
    ({"state": "dead", "assistant": "A7", "text": "call-2"}, ["call-2"]),
    ({"state": "dead", "status": "4xx", "attempts": "1..", "edited": "no"}, ["call-1", "call-2", "call-3", "call-4"]),
    ({"state": "dead", "since": "1h", "until": "1h"}, []),
    ({"state": "waiting"}, ["call-5"]),
    ({"state": ["waiting", "ready"]}, ["call-8", "call-5"]),
    ({"state": "delivered"}, ["call-6"]),
    ({"state": "unconfirmed"}, ["call-7"]),
    ({}, ["call-8", "call-5", "call-7", "call-1", "call-2", "call-3", "call-4"]),
]


def test_the_filter_is_the_address_and_finds_what_the_command_finds(
    line: CommandLine, console: ConsoleUnderTest
) -> None:
    filled(line)
    for query, wanted in FILTERS:
        page = console.get("/reports", **query).text
        found = re.findall(r'data-open href="/call\?id=([^"]+)"', page)
        assert found == wanted, query
        command = unescape(re.search(r"<code>(roark-ingest (?:dlq )?list[^<]*)</code>", page)[1])  # type: ignore[index]
        listed = line.run(*command.split()[1:], "--json").documents
        assert [one["call_id"] for one in listed] == wanted, command


def test_a_filter_that_cannot_be_read_says_what_to_try(console: ConsoleUnderTest) -> None:
    for query, told in (
        ({"since": "yesterdayish"}, "--since: not a valid time"),
        ({"status": "x"}, "--status x: try 422, 4xx or none"),
        ({"attempts": "many"}, "--attempts many: try 3"),
        ({"audio_within": "soon"}, "--audio-ends-within: not a valid duration"),
    ):
        assert told in text(console.get("/reports", **query).text)


def test_pages_of_the_list_miss_and_double_nothing_while_letters_come_and_go(
    line: CommandLine, console: ConsoleUnderTest
) -> None:
    wanted = [f"call-{number:03}" for number in range(130)]
    line.bury_all(*wanted)
    seen: list[str] = []
    address = "/reports?state=dead"
    for turn in range(5):
        page = console.get(address).text
        seen += re.findall(r'data-open href="/call\?id=([^"]+)"', page)
        if turn == 0:
            assert "130 reports" in text(page)
            # meanwhile one of those to come is gone, and others die
            line.run("dlq", "discard", "call-077", "--yes")
            line.bury_all("late-1", "late-2")
            console.stage.surveyor.look(at_once=True)
        following = re.search(r'rel="next" href="([^"]+)"', page)
        if not following:
            break
        address = unescape(following[1])
    assert seen == [call for call in wanted if call != "call-077"]


def test_a_call_tells_its_story_and_masks_what_people_said(line: CommandLine, console: ConsoleUnderTest) -> None:
    line.accept("call-1", startedAt="2026-05-19T10:00:00Z", costs=[{"cost": 2.50}], big=12345678901234567890)
    line.defer("call-1", message="try later")
    page = text(console.get("/call", id="call-1").text)
    assert "the attempt failed; a retry was scheduled attempt 1 status 503" in page
    assert "try later" in page
    assert '"startedAt": "2026-05-19T10:00:00Z"' in page
    assert '"cost": 2.5' in page
    assert "12345678901234567890" in page
    assert f"<text, {len(TRANSCRIPT)} characters>" in page
    assert TRANSCRIPT not in page
    assert PHONE not in page


def test_revealing_a_report_is_logged_and_for_operators_alone(line: CommandLine) -> None:
    line.accept("call-1")
    with opened(line, add={"vera": Role.VIEWER, "omar": Role.OPERATOR}) as console:
        console.sign_in("vera")
        assert "Reveal" not in console.get("/call", id="call-1").text
        console.sign_in("omar")
        page = console.post("/call/reveal", id="call-1", reason="ticket 4711").text
        assert TRANSCRIPT in page
        read = text(console.get("/log", action="reveal").text)
        assert "omar reveal 1 ticket 4711; call-1" in read


def test_a_call_that_nobody_has_seen_is_said_to_be_unknown(console: ConsoleUnderTest) -> None:
    answer = console.get("/call", id="nobody/../&?<b>")
    assert answer.status_code == 404
    assert "Call nobody/../&?<b> is unknown." in text(answer.text)


def test_while_the_letters_are_read_for_the_first_time_the_list_is_there_already(
    line: CommandLine, console: ConsoleUnderTest
) -> None:
    line.bury_all("call-1", "call-2")
    with console.stage.surveyor._lock:
        assert "Reading the dead letters" in text(console.get("/causes").text)
        assert "2 reports" in text(console.get("/reports", state="dead").text)
    assert "2 dead letters of 1 cause" in text(console.get("/causes").text)

"""What each page of the console tells: the answer to its question, and the command for the same."""

import re
import time
from dataclasses import replace
from html import unescape

import pytest
from commands import CommandLine
from console_pages import Text, filled, reject, text
from consoles import ConsoleUnderTest
from partitioned import left_half_way

from roark_ledger.lane_states import LaneState
from roark_ledger.moves import delivery
from roark_ledger.records.alerts import Alert, AlertKind, Message
from roark_ops.console.memory.examining import Examined
from roark_ops.console.routes import ROUTES
from roark_ops.desk.dead_letters import DeadLetters


def test_every_page_shows_its_question_and_its_command_line(line: CommandLine, console: ConsoleUnderTest) -> None:
    filled(line)
    commands = {}
    for route in ROUTES:
        if route.is_deed or route.path in {"/curves", "/reports/count", "/replay", "/replay.md", "/selection"}:
            continue
        page = console.get(route.path)
        assert page.status_code == 200, route.path
        found = re.search(r'<p class="typed"><code>(roark-ingest [^<]+)</code>', page.text)
        assert found, route.path
        commands[route.path] = unescape(found[1])
        assert re.search(r'<p class="asks">\s*\S', page.text), route.path
        assert page.text.count("<h1>") == 1
    assert commands["/"] == "roark-ingest status"
    assert commands["/causes"] == "roark-ingest dlq groups"


def test_now_says_whether_all_is_well(line: CommandLine, console: ConsoleUnderTest) -> None:
    line.accept("call-1")
    line.deliver("call-1")
    page = text(console.get("/").text)
    assert "All is well. Every report is accounted for." in page
    assert "1 accepted = 0 ready + 0 uploading + 0 waiting + 1 delivered + 0 dead" in page
    assert "The sum holds" in page
    assert "Time to drained drained" in page


def test_now_says_how_far_a_split_is(line: CommandLine, console: ConsoleUnderTest) -> None:
    line.accept("call-1")
    left_half_way(line.ledger, 3)
    page = text(console.get("/").text)
    assert "The ledger is being split. Into 3 partitions: 1 call still to be moved" in page
    assert "roark-ingest partition 3" in page


def test_now_says_what_there_is_to_do_and_leads_there(line: CommandLine, console: ConsoleUnderTest) -> None:
    filled(line)
    line.ledger.run(delivery.hold(by="ada", reason="maintenance"))
    page = console.get("/", part=1).text
    read = text(page)
    assert "things to look at" in read
    assert "4 reports are dead letters." in read
    assert "ada paused uploads: maintenance" in read
    assert "1 delivered report unconfirmed" in read
    for path in ("/causes", "/uploads", "/receipts"):
        assert f'href="{path}"' in page


def test_the_groups_say_what_broke_whose_side_since_when_and_what_to_do(
    line: CommandLine, console: ConsoleUnderTest
) -> None:
    filled(line, parameter="message.endedAt")
    page = console.get("/causes").text
    read = text(page)
    assert "4 dead letters of 2 causes" in read
    assert "Roark refused the report as invalid (422). It names the field message.endedAt, which is missing." in read
    assert "endedAt is before startedAt" in read
    assert "cause: this report" in read
    assert "all from assistant A7" in read
    assert "Edit 3…" in read
    assert "roark-ingest dlq edit --group" in read
    assert '{"error":{"detail":"no such field"}}' in read


def test_a_card_names_what_most_of_its_letters_have_and_asks_for_that_once(
    line: CommandLine, console: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, word in enumerate(("busy", "gone", "gone")):
        line.accept(f"call-{number}", endedReason=word)
        line.bury(f"call-{number}", parameter="endedReason")
    told = 'It names the field endedReason, which is "gone" in 2 of 3 (2 different values).'
    assert told in text(console.get("/causes").text)
    monkeypatch.setattr(DeadLetters, "explain", None)
    assert told in text(console.get("/causes").text)


def test_a_field_that_roark_named_is_the_first_to_be_edited(line: CommandLine, console: ConsoleUnderTest) -> None:
    line.bury_all("call-1", "call-2", parameter="message.endedReason")
    for path in ("/causes", "/call?id=call-1"):
        place = '<input type="hidden" name="place" value="message.endedReason">'
        assert console.get(path).text.count(place) == 1, path
    answer = console.post("/freeze/edit", all=1, query="state=dead", place="message.endedReason")
    assert 'name="place" value="message.endedReason"' in answer.text


def test_now_says_that_redis_takes_no_reports_though_nothing_can_be_noted_in_it_any_more(
    line: CommandLine, console: ConsoleUnderTest
) -> None:
    # given a limit that is passed, which the last accept has not seen
    line.accept("call-1")
    line.ledger.client.hset(line.ledger.calls.keys.lane, "memory_most", "1000")
    page = text(console.get("/").text)
    assert "Redis is almost out of memory, so no new reports are accepted." in page


def test_an_alert_whose_cause_is_gone_says_so(line: CommandLine, console: ConsoleUnderTest) -> None:
    moment = console.stage.live.now()
    said = Message("Uploads are paused.", "", "roark-ingest doctor")
    alert = Alert(AlertKind.LANE_HELD, active=True, since_ms=1, ended_ms=0, told_ms=1, owed="", tries=0, message=said)
    for state, told in ((LaneState.HELD, "lane_held Uploads are paused."), (LaneState.OPEN, "lane_held: over Uploads")):
        snapshot = replace(moment.snapshot, alerts=(alert,), lane=replace(moment.snapshot.lane, state=state))
        console.stage.live._moment = replace(moment, snapshot=snapshot, seen=time.monotonic() + 60)
        assert told in text(console.get("/").text)


def test_the_ten_questions_have_answers(line: CommandLine, console: ConsoleUnderTest) -> None:
    filled(line)
    now, causes, uploads, receipts = (
        text(console.get(path).text) for path in ("/", "/causes", "/uploads", "/receipts")
    )
    assert "Throughput" in now  # does anything go through
    assert "Uploads are running." in uploads  # why do uploads fail
    assert "cause: this report" in causes  # whose fault
    assert "call-8" in text(console.get("/reports", state="ready").text)  # which reports block
    assert "no such field" in text(console.get("/call", id="call-4").text)  # what did Roark say literally
    assert "all from assistant A7" in causes  # is it one assistant
    assert "call-2" in text(console.get("/reports", state="dead", assistant="A7").text)  # which reports was it
    assert "Audio lost" in now  # how much audio is lost
    assert "No worker is alive." in uploads  # which URL and token do the workers use
    assert "2 delivered = 1 confirmed + 1 unconfirmed" in receipts  # did Roark really take what is delivered


def test_empty_pages_say_what_to_do(console: ConsoleUnderTest) -> None:
    for path, told in (
        ("/causes", "No dead letters."),
        ("/reports", "Reports come in by the webhook, or with roark-ingest enqueue"),
        ("/replays", "No replay jobs."),
        ("/rejected", "The rejected bin is empty."),
        ("/uploads", "Nothing is uploaded until one runs: roark-ingest worker"),
        ("/receipts", "Give the workers VAPI_API_KEY"),
        ("/receipts", "Nothing looked up yet."),
        ("/uploads", "as each worker is set"),
        ("/log", "No lines."),
    ):
        assert told in text(console.get(path).text), path


def test_the_rejected_bin_says_why_and_shows_an_entry_when_asked(line: CommandLine, console: ConsoleUnderTest) -> None:
    reject(line, b'{"message": {"type": "end-of-call-report", "call": {}, "note": "odd one"}}')
    page = console.get("/rejected").text
    assert "1 report in the bin" in text(page)
    assert "odd one" not in page
    digest = re.search(r'name="entry" value="([^"]+)"', page)
    assert digest
    assert "odd one" in text(console.post("/rejected/reveal", entry=digest[1]).text)
    assert "reveal" in text(console.get("/log").text)


def test_redis_being_away_is_said_and_what_was_seen_last_stays(line: CommandLine, console: ConsoleUnderTest) -> None:
    filled(line)
    assert console.get("/").status_code == 200
    client = console.stage.ledger.client
    client.connection_pool.reset()
    client.connection_pool.connection_kwargs["path"] = "/nowhere/redis.sock"
    console.stage.live.now(fresh=True)
    page = text(console.get("/").text)
    assert "Redis is unreachable." in page
    assert "4 dead" in page
    answer = console.get("/call", id="call-1")
    assert answer.status_code == 503
    assert "Not now" in answer.text


def test_the_page_reads_without_javascript(line: CommandLine, console: ConsoleUnderTest) -> None:
    filled(line)
    for path in ("/", "/causes", "/reports?state=dead", "/call?id=call-1"):
        page = console.get(path).text
        assert "roark-ingest" in text(page)
        scripts = [attributes for tag, attributes in Text(page).tags if tag == "script"]
        assert all("defer" in attributes for attributes in scripts)
    # every button that does something is one of a form
    assert 'formaction="/freeze/replay" name="all"' in console.get("/reports?state=dead").text
    assert "4 match" in console.get("/reports/count?state=dead").text


def test_tabs_of_uploads_and_health_share_one_look(
    line: CommandLine, console: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(console.stage.ledger, "run", asked.append)
    for path in ("/uploads", "/health"):
        assert "No worker is alive." in text(console.get(path).text)
    assert asked == []


def test_the_checks_say_when_they_were_made_and_are_made_again_when_that_is_long_ago(
    line: CommandLine, console: ConsoleUnderTest
) -> None:
    assert 'hx-trigger="load"' in console.get("/health").text
    console.stage.examining._last = Examined((), time.time())
    assert "0 checks, 0 failed, 0 warnings, looked at 20" in text(console.get("/health").text)
    assert 'hx-trigger="load"' not in console.get("/health").text
    console.stage.examining._last = Examined((), time.time() - 60)
    assert 'hx-trigger="load"' in console.get("/health").text

"""What each page of the console tells: the answer to its question, the command for the same, and nobody's secrets."""

import json
import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from clocks import Clock
from commands import PHONE, TRANSCRIPT, CommandLine, report
from consoles import ConsoleUnderTest, opened

from roark_ledger.ledger import Ledger
from roark_ledger.moves import delivery, intake
from roark_ledger.moves.delivery import Deliver
from roark_ledger.moves.desk import switch_route
from roark_ledger.moves.intake import Acceptable
from roark_ledger.moves.receipts import LookedUp, receipts_note, receipts_turn
from roark_ledger.moves.reconcile import reconcile_note, reconcile_turn
from roark_ledger.packing import pack
from roark_ledger.records.logbook import doer
from roark_ops.console.access.roles import Role
from roark_ops.console.routes import ROUTES
from roark_worker.calls.reconcile import Comparison
from roark_worker.calls.rules import Bucket
from roark_worker.receipt_rules import ReceiptRules

MARKUP = "<img src=x onerror=alert(1)>\"'><script>alert(2)</script>{{7919*7907}}"


class Text(HTMLParser):
    """What a person reads, and every tag and attribute that a browser would see."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.read: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.read.append(data)

    def __str__(self) -> str:
        return " ".join(" ".join(self.read).split())


def text(page: str) -> str:
    return str(Text(page))


def filled(line: CommandLine, **detail: Any) -> None:
    """Have some of everything: dead letters of two causes, one waiting, one ready, delivered ones, a rejected one."""
    line.bury_all("call-1", "call-2", "call-3", message="endedAt is before startedAt", assistant="A7", **detail)
    line.bury_all(
        "call-4", reason="http_400", status=400, excerpt='{"error":{"detail":"no such field"}}', message="bad"
    )
    line.accept("call-5")
    line.defer("call-5", message="busy")
    line.accept("call-6")
    line.deliver("call-6")
    line.accept("call-7")
    line.deliver("call-7", "")
    line.accept("call-8")
    reject(line, b'{"message": {"type": "end-of-call-report", "call": {}}}')


def reject(line: CommandLine, body: bytes) -> None:
    result = line.run("enqueue", "--keep-rejected", "-", stdin=body)
    assert result.exit_code == 3, result.stderr


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


def strange_tags(page: str) -> list[Any]:
    """Whatever a browser would run, or look up elsewhere."""
    found: list[Any] = []
    for tag, attributes in Text(page).tags:
        found += [(tag, name) for name in attributes if name.startswith("on") or name == "style"]
        links = [attributes.get(name) or "" for name in ("src", "href", "action", "formaction", "hx-get")]
        found += [(tag, link) for link in links if link and not link.startswith(("/", "#"))]
        if tag in {"img", "iframe", "object", "embed", "base", "style"}:
            found.append((tag, attributes))
        if tag == "script" and not (attributes.get("src") or "").startswith("/static/"):
            found.append((tag, attributes))
    return found


def test_markup_in_any_field_from_outside_is_text_on_every_page(line: CommandLine, console: ConsoleUnderTest) -> None:
    # given markup in every field that comes from Vapi, from Roark, and from people
    call_id = f"call-{MARKUP}"
    properties = json.dumps({MARKUP: MARKUP}).encode()
    packed = pack(report(call_id, **{MARKUP: MARKUP, "artifact": {"messages": [MARKUP]}}), properties)
    line.ledger.run(
        intake.accept([intake.Acceptable(call_id, "print", packed, 1)], revisions="record", per_wakeup=64)  # type: ignore[arg-type] # any id comes in
    )
    detail = dict.fromkeys(("message", "parameter", "code", "excerpt", "assistant", "over"), MARKUP)
    line.bury(call_id, **detail)
    line.accept("call-2")
    line.run("set-aside", "call-2", "--reason", MARKUP, "--as", MARKUP)
    line.run("hold", "--reason", MARKUP, "--as", MARKUP)
    line.run("dlq", "replay", "call-2", "--reason", MARKUP, "--as", MARKUP, "--yes")
    reject(line, json.dumps({MARKUP: MARKUP}).encode())
    reject(line, MARKUP.encode())
    # when every page is looked at
    paths = [
        route.path
        for route in ROUTES
        if not route.is_deed and route.path not in {"/curves", "/selection", "/replay.md"}
    ]
    pages = {path: console.get(path, job=1) for path in paths}
    pages |= {f"part {path}": console.get(path, job=1, part=1) for path in paths}
    pages["call"] = console.get("/call", id=call_id)
    pages["asked for"] = console.get("/reports", text=MARKUP, reason=MARKUP, state=[MARKUP, "dead"], cursor=MARKUP)
    pages["log"] = console.get("/log", by=MARKUP, call=MARKUP, action=MARKUP, after=MARKUP)
    pages["revealed"] = console.post("/call/reveal", id=call_id, reason=MARKUP)
    for deed, form in (
        ("discard", {"call": call_id}),
        ("edit", {"call": call_id}),
        ("replay", {"all": 1, "query": "state=dead"}),
    ):
        pages[deed] = console.get("/selection", id=console.freeze(deed, **form))
    selection = console.freeze("edit", call=call_id)
    pages["difference"] = console.post(
        "/edit/preview", id=selection, place=[f"x{MARKUP}", "endedReason"], value=[MARKUP] * 2
    )
    pages["done"] = console.post("/go/edit", id=selection, reason=MARKUP)
    # then it is text
    assert {name: strange_tags(page.text) for name, page in pages.items() if strange_tags(page.text)} == {}
    assert {name for name, page in pages.items() if str(7919 * 7907) in page.text} == set()
    for name in ("/causes", "call", "/log", "/uploads"):
        assert "<script>alert(2)</script>" in text(pages[name].text), name


def test_no_page_shows_a_secret_or_a_phone_number(line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROARK_API_BEARER_TOKEN", "tok-very-secret-1")
    monkeypatch.setenv("ROARK_INGEST_VAPI_SECRET", "vapi-very-secret-2")
    monkeypatch.setenv("ROARK_INGEST_ALERT_URL", "https://hooks.example/very-secret-3")
    line.bury_all("call-1", message=f"customer {PHONE} is unknown", excerpt=f"Bearer abcdef0123456789 for {PHONE}")
    line.run("hold", "--reason", f"call {PHONE}")
    with opened(line, console_password="console-very-secret-4") as console:
        console.sign_in("admin", "console-very-secret-4")
        for route in ROUTES:
            if not route.is_deed:
                page = console.get(route.path, id="call-1").text
                for secret in ("very-secret", "abcdef0123456789", PHONE, TRANSCRIPT):
                    assert secret not in page, (route.path, secret)


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


def test_while_the_letters_are_read_for_the_first_time_the_list_is_there_already(
    line: CommandLine, console: ConsoleUnderTest
) -> None:
    line.bury_all("call-1", "call-2")
    with console.stage.surveyor._lock:
        assert "Reading the dead letters" in text(console.get("/causes").text)
        assert "2 reports" in text(console.get("/reports", state="dead").text)
    assert "2 dead letters of 1 cause" in text(console.get("/causes").text)


def looked_up(line: CommandLine, *, seen: int, unseen: int) -> None:
    """Have reports delivered that are looked up at Roark."""
    calls = [f"call-{number:03}" for number in range(seen + unseen)]
    packed = pack(report("call"), ended_ms=line.snapshot().now_ms)
    line.ledger.run(
        intake.accept([Acceptable(call, call, packed, 0) for call in calls], revisions="record", per_wakeup=64)
    )
    for call_id in calls:
        outcome = Deliver(line.claim(call_id), "roark-1", b"{}", in_time=call_id != calls[0], look_up=True)
        assert line.ledger.run(delivery.deliver([outcome], keep_payloads=False, first_look_ms=240_000)) == [True]
    now_ms, prefix = line.snapshot().now_ms, line.environment["ROARK_INGEST_PREFIX"]
    rules = ReceiptRules(1, 240_000, 300_000)
    for age_ms in rules.ages_ms[:2]:
        later = Ledger(line.ledger.client, prefix=prefix, clock=Clock(now_ms + age_ms + 30_000))
        turn = later.run(receipts_turn(who="w", patience_ms=90_000, most=100)) or ()
        found = [
            LookedUp(due, due.call_id in calls[:seen], _looked(visible=due.call_id in calls[:seen])) for due in turn
        ]
        later.run(receipts_note(found, in_time_ms=rules.in_time_ms, ages_ms=rules.ages_ms))


def _looked(*, visible: bool) -> bytes:
    return json.dumps({"visible": visible}).encode()


def test_receipts_tell_what_was_looked_up_at_roark_and_which_calls_were_in_time(
    line: CommandLine, console: ConsoleUnderTest
) -> None:
    looked_up(line, seen=3, unseen=1)
    page = text(console.get("/receipts").text)
    status = line.run("status").stdout
    (told,) = [row.partition("at Roark")[2].strip() for row in status.splitlines() if " looked up visible " in row]
    assert told in page
    assert "75 % at Roark within 5 minutes" in page
    assert "receipt visible at Roark" in text(console.get("/call", id="call-001").text)


@pytest.mark.parametrize(("ended", "told"), [(3, "3 Vapi: ended = 3 here"), (4, "4 Vapi: ended ≠ 3 here")])
def test_receipts_show_the_three_sums(line: CommandLine, console: ConsoleUnderTest, ended: int, told: str) -> None:
    found = Comparison(0, 1)
    found.buckets.update({Bucket.DELIVERED: 3, Bucket.MISSING: ended - 3})
    line.ledger.run(reconcile_turn(who="w", every_ms=1000, patience_ms=90_000))
    line.ledger.run(reconcile_note(who="w", phase="done", stand={"watermark": 1}, result=found.document()))
    page = text(console.get("/receipts").text)
    assert told in page
    assert ("The three sums agree." if ended == 3 else "The three sums do not agree") in page


def test_uploads_and_call_say_by_which_way_reports_are_sent(line: CommandLine, console: ConsoleUnderTest) -> None:
    line.accept("call-1")
    line.ledger.run(switch_route("call", who=doer("ada", "")))
    line.deliver("call-1", "by-external-id")
    page = text(console.get("/uploads").text)
    assert "POST /v1/call for all workers, chosen with roark-ingest route" in page
    call = text(console.get("/call", id="call-1").text)
    assert "sent by POST /v1/call" in call
    assert "known by its externalId, the call ID" in call


def test_tabs_of_uploads_and_health_share_one_look(
    line: CommandLine, console: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(console.stage.ledger, "run", asked.append)
    for path in ("/uploads", "/health"):
        assert "No worker is alive." in text(console.get(path).text)
    assert asked == []

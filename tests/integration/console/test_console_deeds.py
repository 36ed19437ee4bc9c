"""What a button of the console acts on is what was shown, it is done once, and all of it is in the log."""

import re
import threading
from typing import Any

from commands import CommandLine
from console_pages import reject, text
from consoles import ConsoleUnderTest, opened

from roark_ledger.moves import desk
from roark_ops.console.access.roles import Role
from roark_ops.console.deeds import VERBS

TWO = {"omar": Role.OPERATOR, "olga": Role.OPERATOR}


def actions(line: CommandLine) -> list[tuple[str, str, int]]:
    deeds = line.ledger.run(desk.deeds_page(most=100))
    return [(deed.action, deed.by, deed.count) for deed in deeds]


def test_the_button_has_the_number_and_what_came_later_stays(line: CommandLine, console: ConsoleUnderTest) -> None:
    line.bury_all("call-1", "call-2")
    selection = console.freeze("discard", all=1, query="state=dead")
    # given one that dies while the selection is looked at
    line.bury_all("call-3")
    page = console.get("/selection", id=selection).text
    assert re.search(r"<button[^>]*data-go[^>]*>Discard 2 dead letters</button>", page)
    assert "Report and history are kept. Restore brings the reports back." in page
    done = console.post("/go/discard", id=selection)
    assert "done , 2 of 2" in text(done.text)
    assert [line.state(f"call-{number}") for number in (1, 2, 3)] == ["discarded", "discarded", "dead"]
    assert actions(line) == [("discard", "tester", 2)]


def test_a_group_is_what_its_card_shows(line: CommandLine, console: ConsoleUnderTest) -> None:
    line.bury_all("call-1", "call-2", message="endedAt is wrong")
    line.bury_all("call-3", message="no such assistant")
    page = console.get("/causes").text
    query = re.search(r'name="query" value="(state=dead&amp;group=\w+)"', page)
    assert query
    selection = console.freeze("discard", all=1, query=query[1].replace("&amp;", "&"))
    shown = text(console.get("/selection", id=selection).text)
    assert "Discard 2 dead letters" in shown
    assert f"roark-ingest dlq discard --group {query[1][-8:]}" in shown
    console.post("/go/discard", id=selection)
    assert [line.state(f"call-{number}") for number in (1, 2, 3)] == ["discarded", "discarded", "dead"]


def test_a_double_click_does_it_once_and_shows_what_was_done(line: CommandLine, console: ConsoleUnderTest) -> None:
    line.bury_all("call-1", "call-2")
    selection = console.freeze("replay", all=1, query="state=dead")
    answers: list[Any] = []
    clicks = [
        threading.Thread(target=lambda: answers.append(console.post("/go/replay", id=selection, ramp="1")))
        for _ in range(4)
    ]
    for click in clicks:
        click.start()
    for click in clicks:
        click.join()
    assert {answer.url.path for answer in answers} == {"/replay"}
    assert {answer.url.params["job"] for answer in answers} == {"1"}
    assert actions(line) == [("replay", "tester", 2)]


def test_two_operators_who_mean_the_same_do_it_once(line: CommandLine) -> None:
    line.bury_all("call-1", "call-2", "call-3")
    with opened(line, add=TWO) as console:
        console.sign_in("omar")
        his = console.freeze("discard", all=1, query="state=dead")
        cookies = dict(console.client.cookies)
        console.client.cookies.clear()
        console.sign_in("olga")
        hers = console.freeze("discard", all=1, query="state=dead")
        # a selection is its maker's
        assert console.get("/selection", id=his).status_code == 404
        assert console.post("/go/discard", id=his).status_code == 404
        console.post("/go/discard", id=hers)
        console.client.cookies.clear()
        console.client.cookies.update(cookies)
        read = text(console.post("/go/discard", id=his).text)
    assert "discarded 3" in read
    assert actions(line) == [("discard", "olga", 3)]


def test_two_operators_make_one_replay_of_a_letter(line: CommandLine) -> None:
    line.bury_all("call-1", "call-2")
    with opened(line, add=TWO) as console:
        console.sign_in("omar")
        his = console.freeze("replay", all=1, query="state=dead")
        cookies = dict(console.client.cookies)
        console.client.cookies.clear()
        console.sign_in("olga")
        hers = console.freeze("replay", all=1, query="state=dead")
        console.post("/go/replay", id=hers)
        console.client.cookies.clear()
        console.client.cookies.update(cookies)
        read = text(console.post("/go/replay", id=his).text)
    assert "skipped 2 reports: already in replay job 1" in read
    assert line.snapshot().replays.selected == 2


def test_more_than_a_hundred_need_a_reason(line: CommandLine, console: ConsoleUnderTest) -> None:
    line.bury_all(*(f"call-{number}" for number in range(101)))
    selection = console.freeze("discard", all=1, query="state=dead")
    page = console.get("/selection", id=selection).text
    assert 'placeholder="Roark is back, ticket 4711" required' in page
    answer = console.post("/go/discard", id=selection, reason="  ")
    assert answer.status_code == 422
    assert "More than 100 reports need a reason." in text(answer.text)
    assert line.state("call-0") == "dead"
    console.post("/go/discard", id=selection, reason="test calls")
    assert line.state("call-100") == "discarded"


def test_a_replay_shows_what_will_fail_again_and_its_job_can_be_paused_and_cancelled(
    line: CommandLine, console: ConsoleUnderTest
) -> None:
    line.bury_all("call-1", "call-2", message="endedAt is wrong")
    selection = console.freeze("replay", call=["call-1", "call-2"])
    read = text(console.get("/selection", id=selection).text)
    assert "2 reports will likely fail again" in read
    assert "A replay won't help until" in read
    assert console.post("/go/replay", id=selection, rate="fast").status_code == 422
    job = console.post("/go/replay", id=selection, rate="20/s", stop_at="10%", ramp="1", reason="ticket 4711")
    assert "Replay job 1" in text(job.text)
    assert "20/s, after steps of 1, 5, 25, 100; pauses if more than 10% fail" in text(job.text)
    assert "paused" in text(console.post("/replay/pause", job=1).text)
    assert "running" in text(console.post("/replay/resume", job=1).text) or "starts in" in text(
        console.get("/replay", job=1).text
    )
    again = console.post("/replay/resume", job=1)
    assert "Nothing was changed: the job was already running." in text(again.text)
    assert "cancelled" in text(console.post("/replay/cancel", job=1, reason="the wrong ones").text)
    report = console.get("/replay.md", job=1)
    assert report.headers["content-disposition"] == 'attachment; filename="replay-1.md"'
    assert "## Replay job 1" in report.text
    assert "ticket 4711" in report.text
    assert line.state("call-1") == "dead"


def test_an_edit_shows_the_difference_first_and_can_be_undone(line: CommandLine, console: ConsoleUnderTest) -> None:
    for call in ("call-1", "call-2"):
        line.accept(call, endedReason="odd", amount=1)
        line.bury(call)
    line.bury_all("call-3", message="other")
    selection = console.freeze("edit", all=1, query="state=dead&text=call-")
    assert console.post("/go/edit", id=selection).status_code == 422
    page = console.post("/edit/preview", id=selection, place=["endedReason", "amount"], value=["customer-hung-up", "2"])
    read = text(page.text)
    assert "3 of 3 reports can be edited like this." in read
    assert '/endedReason - "odd" + "customer-hung-up"' in read
    assert "/amount - 1 + 2" in read
    assert line.snapshot().total("edited") == 0
    done = text(console.post("/go/edit", id=selection, reason="as Vapi says").text)
    assert "edited 3 dead letters" in done
    assert "edited" in console.get("/reports", state="dead", edited="yes").text
    call = text(console.get("/call", id="call-1").text)
    assert "edited /amount /endedReason ; the original is kept" in call or "/endedReason" in call
    undo = console.freeze("undo-edit", call=["call-1", "call-2", "call-3"])
    assert "unedited 3 dead letters" in text(console.post("/go/undo-edit", id=undo).text)
    assert "No reports match." in text(console.get("/reports", state="dead", edited="yes").text)


def test_an_edit_that_does_not_fit_says_why(line: CommandLine, console: ConsoleUnderTest) -> None:
    line.bury_all("call-1")
    selection = console.freeze("edit", call="call-1")
    for place, value, told in (
        ("call.id", "call-9", "None of these reports can be edited like this."),
        ("", "", "Say which field to set"),
        ("a[", "1", "a["),
    ):
        assert told in text(console.post("/edit/preview", id=selection, place=place, value=value).text)
        assert console.post("/go/edit", id=selection).status_code == 422


def test_discarded_reports_come_back(line: CommandLine, console: ConsoleUnderTest) -> None:
    line.bury_all("call-1", "call-2")
    done = console.post("/go/discard", id=console.freeze("discard", call=["call-1", "call-2"]))
    came_from = re.search(r'name="from" value="([^"]+)"', done.text)
    assert came_from
    back = console.freeze("restore", **{"from": came_from[1]})
    console.post("/go/restore", id=back)
    assert line.state("call-1") == line.state("call-2") == "dead"


def test_reports_that_wait_are_set_aside(line: CommandLine, console: ConsoleUnderTest) -> None:
    line.accept("call-1", "call-2")
    assert "Set aside all 2" in text(console.get("/reports", state="ready").text)
    selection = console.freeze("set-aside", all=1, query="state=ready")
    console.post("/go/set-aside", id=selection, reason="test calls")
    assert line.state("call-2") == "dead"


def test_unconfirmed_deliveries_are_resent_confirmed_or_dropped(line: CommandLine, console: ConsoleUnderTest) -> None:
    for call in ("call-1", "call-2", "call-3"):
        line.accept(call)
        line.deliver(call, "")
    for deed, call in (("resend", "call-1"), ("confirm", "call-2"), ("drop", "call-3")):
        console.post(f"/go/{deed}", id=console.freeze(deed, call=call))
    assert line.state("call-1") == "ready"
    assert line.snapshot().unconfirmed == 0


def test_rejected_input_is_retried_and_deleted(line: CommandLine, console: ConsoleUnderTest) -> None:
    reject(line, b'{"message": {"type": "end-of-call-report", "call": {}}}')
    reject(line, b'{"message": {"type": "end-of-call-report", "call": 1}}')
    retried = text(console.post("/go/retry-rejected", id=console.freeze("retry-rejected", all=1)).text)
    assert "rejected 2" in retried
    assert "still can't be used" in retried
    console.post("/go/delete-rejected", id=console.freeze("delete-rejected", all=1))
    assert line.snapshot().rejected_kept == 0


def test_uploads_are_paused_with_a_reason_and_resumed(line: CommandLine, console: ConsoleUnderTest) -> None:
    assert console.post("/uploads/hold").status_code == 404
    page = text(console.post("/uploads/hold", reason="maintenance until 4 pm").text)
    assert "Uploads are paused. tester paused uploads: maintenance until 4 pm." in page
    assert "Uploads are running." in text(console.post("/uploads/resume").text)
    assert [action for action, _, _ in actions(line)] == ["hold", "resume"]


def test_what_cannot_be_acted_on_says_so(line: CommandLine, console: ConsoleUnderTest) -> None:
    line.bury_all("call-1")
    for path, form in (
        ("/freeze/discard", {}),
        ("/freeze/discard", {"all": "1", "query": "state=ready"}),
        ("/freeze/replay", {"all": "1", "query": "state=dead&since=yesterdayish"}),
        ("/go/discard", {"id": "nothing"}),
        ("/go/discard", {"id": console.freeze("replay", call="call-1")}),
        ("/edit/preview", {"id": "nothing"}),
        ("/replay/pause", {"job": "99"}),
        ("/replay/pause", {"job": "-1"}),
        ("/rejected/reveal", {"entry": "nothing"}),
    ):
        answer = console.post(path, **form)
        assert answer.status_code == 404, (path, form)
    assert line.state("call-1") == "dead"


def test_every_deed_says_how_it_is_undone_and_what_to_type() -> None:
    for verb in VERBS.values():
        assert verb.undo.endswith(".")
        assert verb.is_grave is verb.undo.startswith("This cannot be undone")
        assert verb.command.startswith("roark-ingest ")
        assert verb.role >= (Role.ADMIN if verb.name in {"drop", "delete-rejected"} else Role.OPERATOR)


def test_an_empty_selection_has_no_button(line: CommandLine, console: ConsoleUnderTest) -> None:
    page = console.get("/selection", id=console.freeze("discard", all=1, query="state=dead")).text
    assert "Nothing is selected." in page
    assert "data-go" not in page

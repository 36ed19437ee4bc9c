"""The plain words: every code that a worker can produce has a rule, and each rule says what to do."""

import ast
import json
import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from attempts import judged
from histories import lines_of
from typer.main import get_group

import roark_ledger
import roark_producer
import roark_worker
from roark_ledger.ids import CallId, LeaseToken
from roark_ledger.lifecycle import State
from roark_ledger.moves.delivery import Bury, Claimed
from roark_ledger.packing import pack
from roark_ledger.records.lane import Lane
from roark_ledger.records.letters import DeadLetter
from roark_ledger.records.record import Entry, Event, Record
from roark_ops.cli.app import app
from roark_ops.desk import explain_rejected
from roark_ops.desk.grouping import Death
from roark_ops.desk.story import tell
from roark_worker.answers.explain import (
    Explanation,
    Replay,
    Side,
    catalogue,
    explain,
    explain_hold,
    explain_shut,
    is_known,
    status_of,
)
from roark_worker.answers.reasons import Judged, reason_of
from roark_worker.answers.verdict import Answer, OurFault, Passing, Refused, judge
from roark_worker.deciding import EXHAUSTED, decide
from roark_worker.schedule import Schedule
from roark_worker.upload.roark import Reason

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OTHER_STATUSES = [status for status in range(100, 600) if not 200 <= status < 300]
GROUP = get_group(app)
ERROR = b'{"message":"endedAt is before startedAt","parameter":"message.endedAt"}'
PACKED = pack(b'{"type":"end-of-call-report","call":{"id":"c-1","assistantId":"A7"},"endedAt":"2026-01-31T10:00:00Z"}')
OPEN = Lane("open", "", "", 0, 0, 0)
WORDS = [{}, {"x-should-retry": "true"}, {"x-should-retry": "false"}]


def verdicts() -> list[Passing | Refused | OurFault]:
    answers = [Answer(status, word, b"{}") for status in OTHER_STATUSES for word in WORDS]
    answers.append(Answer(200, {}, b"<html>"))
    found = [judge(answer, NOW) for answer in answers]
    return [one for one in found if isinstance(one, Passing | Refused | OurFault)]


def codes_in_the_workers_sources() -> set[str]:
    """Codes that are written out, such as `Refused("damaged", …)`."""
    texts = [path.read_text("utf-8") for path in Path(roark_worker.__path__[0]).rglob("*.py")]
    return {code for text in texts for code in re.findall(r'\b(?:Passing|Refused|OurFault)\(\s*"(\w+)"', text)}


def codes_in_the_scripts() -> set[str]:
    """Codes that the scripts write into a record by themselves."""
    texts = [file.read_text("utf-8") for file in Path(roark_ledger.__path__[0]).glob("lua/*/*.lua")]
    return {code for text in texts for code in re.findall(r"note = '(\w+)'", text)}


def every_code() -> list[str]:
    judged = {verdict.reason for verdict in verdicts()}
    return sorted(
        judged | set(get_args(Reason)) | {EXHAUSTED} | codes_in_the_workers_sources() | codes_in_the_scripts()
    )


def test_the_walk_finds_the_codes_that_are_known_today() -> None:
    assert {"http_422", "http_301", "http_503", "not_roark", "damaged", "poison", "payload_lost", "exhausted"} < set(
        every_code()
    )
    assert {"timeout", "connect", "network", "transport"} < set(every_code())


def test_every_code_that_a_worker_can_produce_has_a_rule() -> None:
    assert [code for code in every_code() if not is_known(code)] == []


def ways_of_dying() -> Iterator[DeadLetter]:
    """A dead letter for each way in which the worker, the tick and the scripts end a report."""
    schedule = Schedule(first_delay=5, max_delay=900, max_attempts=20, max_age=86_400, retry_after_max=900)
    answers = [(status, word) for status in OTHER_STATUSES for word in WORDS]
    passing = [judge(Answer(status, word, ERROR), NOW) for status, word in answers]
    passing += [judge(Answer(200, {}, b"<html>"), NOW), *(Passing(reason) for reason in get_args(Reason))]
    passing += [Refused(code, message="zstd says no") for code in codes_in_the_workers_sources()]
    for verdict in passing:
        for attempts, age in [(0, 1.0), (19, 1.0), (3, 90_000.0)]:
            claimed = Claimed(CallId("c-1"), LeaseToken(1), attempts, round(age * 1000), False, "f", PACKED)
            end = decide(judged(claimed, verdict), schedule, max_conflicts=3, chance=0.5)
            if isinstance(end, Bury):
                yield dead("buried", end.reason, json.loads(end.detail))
    for code in codes_in_the_scripts():
        yield dead("poisoned" if code == "poison" else "lost", code, {})


def dead(event: str, note: str, detail: dict[str, Any]) -> DeadLetter:
    record = Record(State.DEAD, "print", 1, 9, 1, 0, 0, "fresh", False, note)
    return DeadLetter("c-1", 9, record, lines_of(Event(9, event, detail)))


def lanes_that_hold() -> Iterator[tuple[str, str]]:
    for verdict in verdicts():
        if isinstance(verdict, OurFault):
            yield f"{verdict.reason} {verdict.message}".strip(), "roark"
    yield from [("", "ada"), ("maintenance", "ada"), ("", "")]


def demand_a_complete(found: Explanation) -> None:
    for text in (found.what, found.todo, found.replay_in_words):
        assert re.fullmatch(r"[A-Za-z].*[.]", text), text
        assert "{" not in text
        assert "  " not in text
        assert ".." not in text
    assert found.side in Side
    assert bool(found.condition) == (found.replay is not Replay.NEEDLESS)
    demand_a_command(found.command)


def demand_a_command(line: str) -> None:
    program, *words = shlex.split(line)
    assert program == "roark-ingest"
    arguments = arguments_behind_the_command(words)
    if "--at" in arguments:
        arguments = arguments[: arguments.index("--at")]
    assert arguments in ([], ["c-1"], ["CALL_ID"], ["ENTRY"], ["--repair"]), line


def test_every_way_of_dying_has_a_complete_explanation() -> None:
    found = set()
    for letter in ways_of_dying():
        entry = Entry("c-1", 9, letter.record, False, 9, letter.lines, PACKED, False, False)
        story = tell(entry, OPEN)
        assert story.explanation, letter
        assert is_known(letter.record.note), letter
        assert "this version does not know" not in story.explanation.what
        demand_a_complete(story.explanation)
        assert story.explanation.replay is not Replay.NEEDLESS, letter
        death = Death.of(letter)
        demand_a_complete(explain(death.reason, status=death.status, last=death.last, parameter=death.parameter))
        found.add(letter.record.note)
    assert {"http_422", "http_409", "http_413", "exhausted", "poison", "damaged", "payload_lost"} <= found


def test_whose_tries_are_used_up_and_who_grew_too_old_are_told_apart() -> None:
    told = {explain("exhausted", last="http_503", over=over).what for over in ("attempts", "age", "")}
    assert len(told) == 3
    overs = {letter.history[0].detail.get("over") for letter in ways_of_dying() if letter.record.note == "exhausted"}
    assert overs == {"attempts", "age"}


def test_every_hold_and_every_shut_lane_has_a_complete_explanation() -> None:
    for reason, by in lanes_that_hold():
        demand_a_complete(explain_hold(reason, by))
    for state in ("breaker-open", "half-open", "throttled"):
        for cause in ("", *every_code()):
            found = explain_shut(state, cause)
            assert found
            demand_a_complete(found)
    assert explain_shut("open") is None


REJECTIONS = ("InvalidReport", "UnknownMessage", "TooLarge")
LOOKS = (
    "a CloudEvents envelope; an end-of-call report is at .a and .b[]",
    "an end-of-call report is at .payload.message",
    "a Call object of Vapi's API, not an end-of-call report",
    "a log record; a Call object of Vapi's API, not an end-of-call report, is at .results[]",
    "a CloudEvents envelope",
)


def test_a_report_in_a_wrapper_is_told_with_the_command_that_takes_it() -> None:
    for look in LOOKS[:2]:
        found = explain_rejected.explain_rejected("type", f"is missing; {look}", entry="5f3a")
        place = ".a" if ".a" in look else ".payload.message"
        assert found.command == f"roark-ingest rejected retry 5f3a --at {place}"


def rejections() -> Iterator[tuple[str, str]]:
    """The field and the problem of every rejection in the producer's sources, with 7 for what is filled in."""
    for path in Path(roark_producer.__path__[0]).rglob("*.py"):
        if path.name == "phone.py":
            # It reads what an operator types, and no report.
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in REJECTIONS:
                field, problem = (in_full(argument) for argument in node.args)
                if field == "error.field":
                    # What the document looks like is put behind another rejection's words.
                    yield from (("type", f"is missing; {look}") for look in LOOKS)
                    continue
                named = ["call.id", "type"] if path.name == "report.py" else ["body", "call"]
                for one in named if field == "field" else [field]:
                    yield one, problem


def in_full(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(in_full(part) if isinstance(part, ast.Constant) else "7" for part in parts)
        case _:
            return ast.unparse(node)


def test_every_rejection_has_a_complete_explanation() -> None:
    found = list(rejections())
    assert len(found) > 12
    for field, problem in found:
        assert explain_rejected.is_known(field, problem), (field, problem)
        demand_a_complete(explain_rejected.explain_rejected(field, problem))


def test_what_no_rule_knows_is_explained_all_the_same() -> None:
    demand_a_complete(explain_rejected.explain_rejected("strange", "is strange"))
    demand_a_complete(explain("brand_new"))


def test_the_catalogue_is_complete_and_names_each_thing_once() -> None:
    entries = [*catalogue(), *explain_rejected.catalogue()]
    for entry in entries:
        demand_a_complete(entry.explanation)
    names = [(entry.kind, entry.codes) for entry in entries]
    assert len(names) == len(set(names))
    assert {kind for kind, _ in names} == {"dead letter", "hold", "lane", "rejected"}


def arguments_behind_the_command(words: list[str]) -> list[str]:
    command: Any = GROUP
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    assert not hasattr(command, "commands"), "that is a group and no command"
    return words


def test_what_holds_the_lane_is_on_its_reasons_side_and_needs_no_replay() -> None:
    faults = {verdict.reason for verdict in verdicts() if isinstance(verdict, OurFault)}
    assert {"http_401", "http_402", "http_403", "http_404", "http_405", "http_410", "http_301", "http_503"} < faults
    for reason in faults:
        found = explain_hold(f"{reason} some message", "roark")
        roarks = reason_of(reason).judged is Judged.PASSING
        assert found.side is (Side.ROARK if roarks else Side.SETTINGS), reason
        assert found.replay is Replay.NEEDLESS
        assert "probe" in found.todo
        assert "eplay" not in f"{found.todo} {found.command}", "there is no dead letter"


def test_what_is_refused_beside_others_asks_for_leave_only_where_leave_is_what_is_missing() -> None:
    for reason in {verdict.reason for verdict in verdicts() if isinstance(verdict, OurFault)}:
        found = explain(reason, call_id="c-1", over="alone")
        assert found.side is Side.REPORT
        was_roark = not reason.endswith("not_roark")
        is_leave = was_roark and reason_of(reason).judged is not Judged.PASSING
        assert ("account" in found.todo, "token" in found.condition) == (is_leave, is_leave), reason
        assert ("proxy or firewall" in found.todo) == (not was_roark), reason
        demand_a_complete(found)


def test_a_hold_by_a_person_names_the_person_and_the_reason() -> None:
    found = explain_hold("maintenance until 4 pm", "ada")
    assert found.what == "ada paused uploads: maintenance until 4 pm."
    assert found.command == "roark-ingest resume"


@pytest.mark.parametrize(
    ("code", "side", "replay"),
    [
        ("http_400", Side.REPORT, Replay.USELESS),
        ("http_422", Side.REPORT, Replay.USELESS),
        ("http_418", Side.REPORT, Replay.USELESS),
        ("http_413", Side.REPORT, Replay.USELESS),
        ("http_429", Side.ROARK, Replay.HELPS),
        ("http_409", Side.ROARK, Replay.HELPS),
        ("http_503", Side.ROARK, Replay.HELPS),
        ("exhausted", Side.ROARK, Replay.HELPS),
        ("timeout", Side.NETWORK, Replay.HELPS),
        ("connect", Side.NETWORK, Replay.HELPS),
        ("connect_refused", Side.NETWORK, Replay.HELPS),
        ("connect_dns", Side.SETTINGS, Replay.HELPS),
        ("connect_tls", Side.SETTINGS, Replay.HELPS),
        ("connect_proxy", Side.SETTINGS, Replay.HELPS),
        ("not_roark", Side.SETTINGS, Replay.AFTER_MENDING),
        ("poison", Side.PIPELINE, Replay.AFTER_MENDING),
        ("damaged", Side.PIPELINE, Replay.AFTER_MENDING),
        ("payload_lost", Side.PIPELINE, Replay.USELESS),
    ],
)
def test_each_kind_of_failure_has_its_side(code: str, side: Side, replay: Replay) -> None:
    found = explain(code)
    assert (found.side, found.replay) == (side, replay)


def test_an_exhausted_report_is_explained_by_its_last_attempt() -> None:
    found = explain("exhausted", last="connect", call_id="c-1")
    assert found.what == "Every planned attempt failed. The last one: Roark is unreachable."
    assert (found.side, found.command) == (Side.NETWORK, "roark-ingest dlq replay c-1")


def test_the_field_that_roark_names_is_named_with_what_stands_there() -> None:
    found = explain("http_422", parameter="message.endedAt", value="which is null", call_id="c-1")
    assert found.what.endswith("It names the field message.endedAt, which is null.")
    assert (found.field, found.value) == ("message.endedAt", "which is null")
    assert found.command == "roark-ingest dlq edit c-1"


def test_a_call_id_cannot_smuggle_anything_into_the_next_command() -> None:
    command = explain("poison", call_id="c;rm{0}$(x)").command
    assert shlex.split(command) == ["roark-ingest", "dlq", "replay", "c;rm{0}$(x)"]


def test_an_unknown_code_says_so_and_still_tells_what_to_do() -> None:
    found = explain("brand_new")
    assert "does not know" in found.what
    assert status_of("brand_new") == 0

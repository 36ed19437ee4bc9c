"""The plain words: every code that a worker can produce has a rule, and each rule says what to do."""

import re
import shlex
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.main import get_group

import roark_worker
from roark_ops.cli.app import app
from roark_worker.explain import Replay, Side, explain, explain_hold, is_known, status_of
from roark_worker.roark import Reason
from roark_worker.settlement import EXHAUSTED
from roark_worker.verdict import Answer, OurFault, Passing, Refused, judge

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OTHER_STATUSES = [status for status in range(100, 600) if not 200 <= status < 300]
GROUP = get_group(app)
WORDS = [{}, {"x-should-retry": "true"}, {"x-should-retry": "false"}]


def verdicts() -> list[Passing | Refused | OurFault]:
    answers = [Answer(status, word, b"{}") for status in OTHER_STATUSES for word in WORDS]
    answers.append(Answer(200, {}, b"<html>"))
    found = [judge(answer, NOW) for answer in answers]
    return [one for one in found if isinstance(one, Passing | Refused | OurFault)]


def codes_in_the_workers_sources() -> set[str]:
    """Codes that are written out, such as `Refused("damaged", …)`."""
    texts = [path.read_text("utf-8") for path in Path(roark_worker.__path__[0]).glob("*.py")]
    return {code for text in texts for code in re.findall(r'\b(?:Passing|Refused|OurFault)\(\s*"(\w+)"', text)}


def codes_in_the_scripts() -> set[str]:
    """Codes that the scripts write into a record by themselves."""
    scripts = resources.files("roark_producer") / "lua"
    texts = [entry.read_text("utf-8") for entry in scripts.iterdir() if entry.name.endswith(".lua")]
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


def test_every_rule_says_what_happened_and_what_to_do_in_sentences() -> None:
    for found in map(explain, every_code()):
        assert found.what.endswith(".")
        assert found.todo.endswith(".")
        assert "{" not in found.what + found.todo + found.command


def test_every_next_command_exists() -> None:
    for code in [*every_code(), "brand_new"]:
        program, *words = shlex.split(explain(code, call_id="c-1").command)
        assert program == "roark-ingest"
        assert arguments_behind_the_command(words) in ([], ["c-1"])


def arguments_behind_the_command(words: list[str]) -> list[str]:
    command: Any = GROUP
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    assert not hasattr(command, "commands"), "that is a group and no command"
    return words


def test_what_holds_the_lane_is_on_our_side_and_needs_no_replay() -> None:
    faults = {verdict.reason for verdict in verdicts() if isinstance(verdict, OurFault)}
    assert {"http_401", "http_402", "http_403", "http_404", "http_405", "http_410", "http_301"} < faults
    for reason in faults:
        found = explain_hold(f"{reason} some message", "roark")
        assert (found.side, found.replay) == (Side.SETTINGS, Replay.NEEDLESS)
        assert "probe" in found.todo


def test_a_hold_by_a_person_names_the_person_and_the_reason() -> None:
    found = explain_hold("maintenance until 4 pm", "ada")
    assert found.what == "ada put the lane on hold: maintenance until 4 pm."
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
        ("not_roark", Side.SETTINGS, Replay.AFTER_MENDING),
        ("poison", Side.PIPELINE, Replay.AFTER_MENDING),
        ("damaged", Side.PIPELINE, Replay.USELESS),
        ("payload_lost", Side.PIPELINE, Replay.USELESS),
    ],
)
def test_each_kind_of_failure_has_its_side(code: str, side: Side, replay: Replay) -> None:
    found = explain(code)
    assert (found.side, found.replay) == (side, replay)


def test_an_exhausted_report_is_explained_by_its_last_attempt() -> None:
    found = explain("exhausted", last="connect", call_id="c-1")
    assert found.what == "Every planned attempt failed. The last one: No connection to Roark could be made."
    assert (found.side, found.command) == (Side.NETWORK, "roark-ingest dlq replay c-1")


def test_the_field_that_roark_names_is_named() -> None:
    assert "the field message.endedAt" in explain("http_422", parameter="message.endedAt").what


def test_a_call_id_cannot_smuggle_anything_into_the_next_command() -> None:
    command = explain("poison", call_id="c;rm{0}$(x)").command
    assert shlex.split(command) == ["roark-ingest", "dlq", "replay", "c;rm{0}$(x)"]


def test_an_unknown_code_says_so_and_still_tells_what_to_do() -> None:
    found = explain("brand_new")
    assert "does not know" in found.what
    assert status_of("brand_new") == 0

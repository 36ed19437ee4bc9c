"""The runbook against the alerts and the command: a heading for each alert, and only commands that exist."""

import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml
from offenders import for_each
from typer.main import get_command

from roark_ops.cli.app import app

OPS = Path(__file__).parents[2] / "ops"
USAGE_ERROR = typer.BadParameter.__bases__[0]
RUNBOOK = (OPS / "runbook.md").read_text("utf-8")
ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load((OPS / "prometheus" / "rules.yml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
    if "alert" in rule
}
SECTIONS = dict(section.split("\n", 1) for section in re.split(r"^## ", RUNBOOK, flags=re.MULTILINE)[1:])
COMMANDS = sorted(
    {
        line
        for block in re.findall(r"```\n(.*?)```", RUNBOOK, re.DOTALL)
        for line in block.splitlines()
        if line.startswith("roark-ingest ")
    }
    | set(re.findall(r"`(roark-ingest [^`]+)`", RUNBOOK))
)


def test_every_alert_has_its_heading_and_every_heading_its_alert() -> None:
    assert list(SECTIONS) == list(ALERTS)


@for_each("alert", ALERTS)
def test_an_alert_links_its_heading_and_says_what_is_wrong(alert: str) -> None:
    notes = ALERTS[alert]["annotations"]
    assert notes["runbook_url"].endswith(f"/ops/runbook.md#{alert.lower()}")
    assert notes["summary"]
    assert notes["description"].endswith(".")
    assert ALERTS[alert]["labels"]["severity"] in {"page", "ticket"}


def test_no_two_alerts_say_the_same() -> None:
    said = [notes["annotations"][what] for notes in ALERTS.values() for what in ("summary", "description")]
    assert len(said) == len(set(said))


@for_each("alert", ALERTS)
def test_a_section_gives_the_meaning_the_first_look_and_the_commands(alert: str) -> None:
    section = SECTIONS[alert]
    assert f"**Meaning** ({ALERTS[alert]['labels']['severity']})." in section
    assert "**First look.**" in section
    assert "**What to do.**" in section
    assert re.search(r"^roark-ingest ", section, re.MULTILINE)


@for_each("link", sorted(set(re.findall(r"\]\(#([^)]+)\)", RUNBOOK))))
def test_a_link_within_the_runbook_leads_somewhere(link: str) -> None:
    assert link in {name.lower() for name in SECTIONS}


def parse(line: str) -> None:
    """Parse a command line as the command would, up to the point at which it would be run."""
    command, arguments = get_command(app), shlex.split(line)[1:]
    context = command.make_context("roark-ingest", list(arguments))
    while hasattr(command, "resolve_command"):
        name, command, arguments = command.resolve_command(context, arguments)
        context = command.make_context(name, list(arguments), parent=context)


@for_each("line", COMMANDS)
def test_a_command_exists_with_these_options(line: str) -> None:
    parse(line)


@pytest.mark.parametrize("line", ["roark-ingest dlq replya", "roark-ingest resume --now", "roark-ingest dlq show"])
def test_a_command_that_does_not_exist_would_be_found(line: str) -> None:
    with pytest.raises(USAGE_ERROR):
        parse(line)

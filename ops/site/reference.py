"""The reference pages, written from what the code itself says: commands, reasons, metrics, the webhook's contract."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fakeredis import FakeStrictRedis
from fakes import ScriptingFakeServer  # the tests' own, which knows what the scripts ask for
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from typer.main import get_group

from roark_ledger.ledger import Ledger
from roark_ops.cli.app import app
from roark_ops.desk import explain_rejected
from roark_producer.webhook.contract import document
from roark_producer.webhook.metrics import WebhookPage
from roark_worker.answers import explain
from roark_worker.metrics.page import WorkerCollector
from roark_worker.settings import WorkerSettings


def commands() -> str:
    """Return the page of every command with its options, from the command line itself."""
    lines = ["# Commands", "", "Every command takes `--help`. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 something"]
    lines += ["needs attention.", ""]
    for path, command in _every(get_group(app), ()):
        lines += [f"## roark-ingest {' '.join(path)}", "", _text(command.help), ""]
        if rows := list(_options(command)):
            lines += ["| | |", "|---|---|", *rows, ""]
        if command.epilog:
            examples = [each for each in _plain(command.epilog).split("\n\n") if each != "Examples:"]
            lines += ["```sh", *examples, "```", ""]
    return "\n".join(lines)


def _every(group: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            if command.invoke_without_command:
                yield (*path, name), command
            yield from _every(command, (*path, name))
        else:
            yield (*path, name), command


def _options(command: Any) -> Iterator[str]:
    for parameter in command.params:
        if getattr(parameter, "hidden", False) or parameter.name == "help":
            continue
        names = ", ".join((*parameter.opts, *parameter.secondary_opts))
        if parameter.param_type_name == "argument":
            names = parameter.metavar or parameter.name.upper()
        elif parameter.metavar:
            names += f" {parameter.metavar}"
        yield f"| `{_cell(names)}` | {_cell(_text(getattr(parameter, 'help', '') or ''))} |"


def reasons() -> str:
    """Return the page of every reason for which a report waits, dies or is rejected."""
    lines = ["# Reasons", "", "What `roark-ingest explain CODE` says, for every code.", ""]
    kind = ""
    for entry in (*explain.catalogue(), *explain_rejected.catalogue()):
        if entry.kind != kind:
            kind = entry.kind
            lines += [
                f"## {_KINDS.get(kind, kind)}",
                "",
                "| code | what it means | whose side | what to do |",
                "|---|---|---|---|",
            ]
        told = entry.explanation
        again = "" if told.replay_in_words in told.todo else f" {told.replay_in_words}"
        cells = (told.what, told.side.value, f"{told.todo}{again}")
        lines.append(f"| `{entry.codes}` | {' | '.join(_cell(_text(cell)) for cell in cells)} |")
    return "\n".join((*lines, ""))


_KINDS = {"dead letter": "Dead letters", "hold": "Paused uploads", "lane": "The lane", "rejected": "Rejected reports"}


def metrics(folder: Path) -> str:
    """Return the page of every metric, from a webhook's and a worker's page over an empty ledger."""
    with FakeStrictRedis(server=ScriptingFakeServer()) as client:
        registry = CollectorRegistry()
        registry.register(WorkerCollector(folder, Ledger(client), WorkerSettings(_env_file=None), wanted=1))
        text = generate_latest(registry).decode() + WebhookPage().text(None).decode()
    lines = [
        "# Metrics",
        "",
        "What `roark-ingest metrics` and the `/metrics` of webhook and worker show. How they are used is",
    ]
    lines += [
        "told in [Metrics, alerts, dashboards](../metrics.md).",
        "",
        "| metric | type | labels | |",
        "|---|---|---|---|",
    ]
    told = {family.name: family for family in text_string_to_metric_families(text)}
    for name, family in sorted(told.items()):
        labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
        suffix = "_total" if family.type == "counter" else ""
        lines.append(
            f"| `{name}{suffix}` | {family.type} | {', '.join(labels)} | {_cell(_text(family.documentation))} |"
        )
    return "\n".join((*lines, ""))


def webhook() -> str:
    """Return the page of the webhook's contract."""
    contract = document()
    lines = ["# Webhook", "", contract["info"]["description"], ""]
    lines += ["The whole document: [openapi.json](openapi.json).", ""]
    for path, operations in contract["paths"].items():
        for method, operation in operations.items():
            lines += [
                f"## {method.upper()} {path}",
                "",
                operation["summary"] + ".",
                "",
                operation.get("description", ""),
                "",
            ]
            lines += ["| status | |", "|---|---|"]
            for status, response in operation["responses"].items():
                told = contract["components"]["responses"].get(response.get("$ref", "").rpartition("/")[2], response)
                lines.append(f"| {status} | {_cell(told['description'])} |")
            lines.append("")
    return "\n".join(lines)


def _plain(text: str) -> str:
    return text.replace(r"\[", "[")


def _text(text: str | None) -> str:
    # What is no markup for Rich must be none for Markdown either.
    return re.sub(r"([<>*_])", r"\\\1", _plain(text or ""))


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")

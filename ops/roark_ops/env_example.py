"""Every setting with its meaning and its default, taken from the models themselves: `.env.example` and the table in
ops/docs/configure.md.

    python -m roark_ops.env_example > .env.example              (or: make env-example, which writes both)
    python -m roark_ops.env_example ops/docs/configure.md       puts the table between its marks in that page

A test compares both with what is written here, so that no setting is missing from them.
"""

import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from roark_ops.console.settings import ConsoleSettings
from roark_producer.settings import FromEnvironment, IngestSettings, WebhookSettings, settings_of, variable_of
from roark_worker.calls.vapi_settings import VapiSettings
from roark_worker.settings import WorkerSettings

_WIDTH = 110
_HEAD = """\
# Every setting of roark-ingest. Copy this file to `.env` and uncomment what you change; an environment variable
# overrides `.env`. The values here are the defaults; nothing after = means: not set.
#
# A secret X can also be in a file, as Docker and Kubernetes provide secrets: X_FILE is the file's path. Set X_FILE
# as an environment variable; in `.env` it is ignored.
"""
TABLE_BEGINS, TABLE_ENDS = "<!-- settings, written by make env-example -->\n", "<!-- end of settings -->\n"
_SECTIONS: tuple[tuple[str, type[FromEnvironment]], ...] = (
    ("Uploads to Roark: roark-ingest worker", WorkerSettings),
    ("Comparing calls with Vapi's list: roark-ingest worker, reconcile", VapiSettings),
    ("The ledger and its durability: every part", IngestSettings),
    ("The webhook: roark-ingest webhook", WebhookSettings),
    ("The console: roark-ingest console", ConsoleSettings),
)
# What whoever sets this up decides on. All else has a default that fits nearly everybody.
_DECIDED = (
    "ROARK_API_BEARER_TOKEN",
    "ROARK_INGEST_VAPI_SECRET",
    "ROARK_INGEST_REDIS_URL",
    "ROARK_INGEST_DATA_DIR",
    "ROARK_INGEST_DURABILITY",
    "ROARK_INGEST_REVISIONS",
    "ROARK_INGEST_RATE",
    "VAPI_API_KEY",
    "ROARK_INGEST_BACKFILL",
    "ROARK_INGEST_ALERT_URL",
    "ROARK_INGEST_DEAD_DAYS",
    "ROARK_INGEST_LOG_FORMAT",
)
_Settings = dict[str, FieldInfo]


def env_example() -> str:
    """Return the text of `.env.example`."""
    return _HEAD + "".join(f"\n# --- {title}\n\n{_lines(found)}" for title, found in _parts())


def with_table(page: str) -> str:
    """Return a page with all settings, a table for each part, between its two marks."""
    before, _, rest = page.partition(TABLE_BEGINS)
    _, _, after = rest.partition(TABLE_ENDS)
    tables = "".join(_table(title, found) for title, found in _parts())
    return f"{before}{TABLE_BEGINS}{tables}\n{TABLE_ENDS}{after}"


def variables() -> set[str]:
    """Return the variables of all settings, and those that are no settings any more."""
    return {variable_of(model, name) for _, model in _SECTIONS for name in model.model_fields}


def _parts() -> Iterator[tuple[str, _Settings]]:
    sections = [
        (title, {variable_of(model, name): field for name, field in settings_of(model).items()})
        for title, model in _SECTIONS
    ]
    everything = {variable: field for _, found in sections for variable, field in found.items()}
    yield "Decide these", {variable: everything[variable] for variable in _DECIDED}
    for title, found in sections:
        yield f"Rarely: {title}", {name: field for name, field in found.items() if name not in _DECIDED}


def _table(title: str, settings: _Settings) -> str:
    rows = [_row(variable, field) for variable, field in settings.items()]
    return f"\n### {title}\n\n| setting | default | |\n|---|---|---|\n" + "".join(rows)


def _row(variable: str, field: FieldInfo) -> str:
    default = as_variable(field.get_default(call_default_factory=True))
    or_file = ", or `…_FILE`" if SecretStr.__name__ in str(field.annotation) else ""
    shown = f"`{default}`" if default else ""
    return f"| `{variable}`{or_file} | {shown} | {(field.description or '').replace('|', chr(92) + '|')} |\n"


def _lines(settings: _Settings) -> str:
    return "\n".join(_setting(variable, field) for variable, field in settings.items())


def _setting(variable: str, field: FieldInfo) -> str:
    meaning = textwrap.fill(
        field.description or "", _WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False
    )
    lines = [meaning, f"#{variable}={as_variable(field.get_default(call_default_factory=True))}"]
    if SecretStr.__name__ in str(field.annotation):
        lines.append(f"#{variable}_FILE=")
    return "\n".join(lines) + "\n"


def as_variable(value: Any) -> str:
    """Return a value as it would be written into a variable."""
    match value:
        case None:
            return ""
        case bool():
            return str(int(value))
        case tuple():
            return ",".join(map(str, value))
        case dict():
            return json.dumps(value)
        case float() if value.is_integer():
            return str(int(value))
        case str() | int() | float() | Path():
            return str(value)
        case _:
            raise TypeError(f"no way is known to write {type(value).__name__} into a variable")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        path = Path(sys.argv[1])
        path.write_text(with_table(path.read_text("utf-8")), "utf-8")
    else:
        typer.echo(env_example(), nl=False)

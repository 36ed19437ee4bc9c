"""`.env.example` against the settings: nothing missing, nothing made up, every default usable as it stands."""

import re
from pathlib import Path
from typing import Any

import pytest

from roark_ops.console.settings import ConsoleSettings
from roark_ops.env_example import env_example, with_table
from roark_producer.gone_settings import WITHOUT_VALUE
from roark_producer.settings import FromEnvironment, IngestSettings, WebhookSettings, settings_of, variable_of
from roark_worker.calls.vapi_settings import VapiSettings
from roark_worker.settings import WorkerSettings

FILE = Path(__file__).parents[2] / ".env.example"
MODELS: tuple[type[FromEnvironment], ...] = (
    IngestSettings,
    WebhookSettings,
    WorkerSettings,
    VapiSettings,
    ConsoleSettings,
)
SETTINGS = [(model, name) for model in MODELS for name in settings_of(model)]


def written() -> dict[str, str]:
    return dict(re.findall(r"^#((?:ROARK|VAPI)_\w+)=(.*)$", FILE.read_text("utf-8"), re.MULTILINE))


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for model, name in SETTINGS:
        monkeypatch.delenv(variable_of(model, name), raising=False)
        monkeypatch.delenv(f"{variable_of(model, name)}_FILE", raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_file_is_what_the_settings_say() -> None:
    assert FILE.read_text("utf-8") == env_example(), "the settings have changed: make env-example"


def test_the_page_about_the_settings_is_what_they_say() -> None:
    page = (FILE.parent / "ops" / "docs" / "configure.md").read_text("utf-8")

    assert page == with_table(page), "the settings have changed: make env-example"
    for model, name in SETTINGS:
        assert f"| `{variable_of(model, name)}`" in page


def test_every_setting_is_there_with_its_description() -> None:
    there = written()

    assert [variable_of(model, name) for model, name in SETTINGS if variable_of(model, name) not in there] == []
    undescribed = [variable_of(model, name) for model, name in SETTINGS if not model.model_fields[name].description]
    assert undescribed == [], "a setting without a word about it helps nobody"


def test_what_is_to_be_decided_is_a_dozen_and_comes_first() -> None:
    first, *others = re.split(r"^# --- (?:Decide these|Rarely: .*)$", FILE.read_text("utf-8"), flags=re.MULTILINE)[1:]

    assert len(re.findall(r"^#\w+=", first, re.MULTILINE)) - first.count("_FILE=") == 12
    assert len(others) == len(MODELS)


def test_every_secret_may_come_from_a_file() -> None:
    secrets = {
        variable_of(model, name) for model, name in SETTINGS if "SecretStr" in str(model.model_fields[name].annotation)
    }

    assert "ROARK_API_BEARER_TOKEN" in secrets
    assert {name.removesuffix("_FILE") for name in written() if name.endswith("_FILE")} == secrets


def test_a_default_that_is_uncommented_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = []
    for model, name in SETTINGS:
        # given a line of the file without its #
        variable = variable_of(model, name)
        default: Any = model.model_fields[name].get_default(call_default_factory=True)
        value = written()[variable]
        if default is None:
            assert value == "", variable
            continue
        with monkeypatch.context() as alone:
            alone.setenv(variable, value)
            if getattr(model(), name) != default:
                changed.append(variable)

    # then the setting is what it was
    assert changed == []


# Names of variables, as our code has them in its texts. Celery's are told from others by their beginning, and not read.
READ = re.compile(
    r"""(?:environ\b[^\n]*?|getenv\(|envvar=|["'])["']?"""
    r"""((?:FLOWER|VAPI|OTEL|ROARK|SSL|HTTPS?|ALL|NO(?=_PROXY))_[A-Z_]*[A-Z]|VISUAL|EDITOR)(?=["'])"""
)


def test_every_variable_that_is_read_is_on_the_page() -> None:
    page = (FILE.parent / "ops" / "docs" / "configure.md").read_text("utf-8")
    sources = [path for part in ("producer", "worker", "ops") for path in (FILE.parent / part).rglob("*.py")]
    read = {name for path in sources for name in READ.findall(path.read_text("utf-8"))}

    assert {"FLOWER_BASIC_AUTH", "ROARK_API_BEARER_TOKEN_FILE", "OTEL_SERVICE_NAME", "EDITOR"} <= read
    assert sorted(name for name in read - set(WITHOUT_VALUE) if not is_on(page, name)) == []


def is_on(page: str, name: str) -> bool:
    # A secret's file is there as `X`, or `…_FILE`.
    return f"`{name}`" in page or f"`{name.removesuffix('_FILE')}`, or `…_FILE`" in page

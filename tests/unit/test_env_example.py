"""`.env.example` against the settings: nothing missing, nothing made up, every default usable as it stands."""

import re
from pathlib import Path
from typing import Any

import pytest

from roark_ops.env_example import env_example, with_table
from roark_producer.settings import FromEnvironment, IngestSettings, WebhookSettings, variable_of
from roark_worker.settings import WorkerSettings

FILE = Path(__file__).parents[2] / ".env.example"
MODELS: tuple[type[FromEnvironment], ...] = (IngestSettings, WebhookSettings, WorkerSettings)
SETTINGS = [(model, name) for model in MODELS for name in model.model_fields]


def written() -> dict[str, str]:
    return dict(re.findall(r"^#(ROARK_\w+)=(.*)$", FILE.read_text("utf-8"), re.MULTILINE))


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


@pytest.mark.parametrize(("model", "name"), SETTINGS, ids=lambda part: part if isinstance(part, str) else "")
def test_every_setting_is_there_with_its_description(model: type[FromEnvironment], name: str) -> None:
    assert variable_of(model, name) in written()
    assert model.model_fields[name].description, "a setting without a word about it helps nobody"


def test_every_secret_may_come_from_a_file() -> None:
    secrets = {
        variable_of(model, name) for model, name in SETTINGS if "SecretStr" in str(model.model_fields[name].annotation)
    }

    assert "ROARK_API_BEARER_TOKEN" in secrets
    assert {name.removesuffix("_FILE") for name in written() if name.endswith("_FILE")} == secrets


@pytest.mark.parametrize(("model", "name"), SETTINGS, ids=lambda part: part if isinstance(part, str) else "")
def test_a_default_that_is_uncommented_changes_nothing(
    model: type[FromEnvironment], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a line of the file without its #
    variable = variable_of(model, name)
    value = written()[variable]
    default: Any = model.model_fields[name].get_default(call_default_factory=True)
    if default is None:
        assert value == ""
        return
    monkeypatch.setenv(variable, value)

    # then the setting is what it was
    assert getattr(model(), name) == default

"""Secrets as they are handed in: one rule for all of them, from every place."""

import itertools
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from roark_ledger.errors import ConfigurationError
from roark_ops.console.settings import ConsoleSettings
from roark_producer.secret_texts import tidied, tidied_secret
from roark_producer.settings import FromEnvironment, IngestSettings, WebhookSettings, variable_of
from roark_producer.webhook.door.gate import gate_for
from roark_worker.calls.vapi_settings import VapiSettings
from roark_worker.settings import WorkerSettings

SECRETS = {
    (model, name): "redis://:s3cret-s3cret@h/0" if "redis" in name or "broker" in name else "s3cret-s3cret-s3cret"
    for model in (IngestSettings, WebhookSettings, WorkerSettings, VapiSettings, ConsoleSettings)
    for name, field in model.model_fields.items()
    if "SecretStr" in str(field.annotation)
}
AROUND = ("{}", " {}", "{} ", "{}\n", "{}\r\n", "\n\n {}\t\r\n", "\ufeff{}\n", "\u00a0{}\u2003")
INSIDE = ("\t", "\x00", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\r")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for (model, name), end in itertools.product(SECRETS, ("", "_FILE")):
        monkeypatch.delenv(variable_of(model, name) + end, raising=False)


def by_file(model: type[FromEnvironment], name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    Path("secret").write_bytes(text.encode())
    with monkeypatch.context() as patched:
        patched.setenv(variable_of(model, name) + "_FILE", "secret")
        return getattr(model(), name)


def by_variable(model: type[FromEnvironment], name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    with monkeypatch.context() as patched:
        patched.setenv(variable_of(model, name), text)
        return getattr(model(), name)


def by_program(model: type[FromEnvironment], name: str, text: str, _: pytest.MonkeyPatch) -> Any:
    alias = model.model_fields[name].validation_alias
    return getattr(model(**{alias if isinstance(alias, str) else name: SecretStr(text)}), name)


WAYS = (by_file, by_variable, by_program)


def test_blanks_and_line_ends_around_are_no_part_of_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = []
    for (model, name), way, around in itertools.product(SECRETS, WAYS, AROUND):
        text = SECRETS[model, name]
        found = way(model, name, around.format(text), monkeypatch)
        if name == "vapi_secret":
            # The key of a signature may have blanks around it, so both are tried; as a secret it has none.
            valid = WebhookSettings(vapi_secret=found).secrets()
            wrong += [(name, way, around)] if valid != (text,) else []
        elif found.get_secret_value() != text:
            wrong.append((name, way, around))
    assert wrong == []


def test_what_is_blank_only_counts_as_not_set_and_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for (model, name), way, blank in itertools.product(SECRETS, WAYS, ("", " ", "\n", " \r\n\t", "\ufeff\n", "\u2003")):
        found = way(model, name, blank, monkeypatch)
        assert not (found and found.get_secret_value()), (name, way, blank)
        if name == "vapi_secret":
            with pytest.raises(ConfigurationError, match="set but empty"):
                gate_for(WebhookSettings(vapi_secret=found))


def test_a_control_character_inside_is_refused_and_the_secret_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for (model, name), way, control in itertools.product(SECRETS, WAYS, (*INSIDE, "\n")):
        # An environment cannot carry a NUL, and the webhook's secrets stand below each other.
        if (way is by_variable and control == "\x00") or (name == "vapi_secret" and control == "\n"):
            continue
        text = SECRETS[model, name].replace("t-s", f"t{control}s", 1)
        with pytest.raises(ConfigurationError) as refused:
            way(model, name, text, monkeypatch)
        assert variable_of(model, name) in str(refused.value)
        assert "control character" in str(refused.value)
        assert "s3cret" not in str(refused.value)


def test_the_same_holds_for_secrets_that_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("secret").write_text("\ufeff ada:s3cret \r\n")
    monkeypatch.setenv("FLOWER_BASIC_AUTH_FILE", "secret")
    assert tidied_secret("FLOWER_BASIC_AUTH", None) == tidied_secret("FLOWER_BASIC_AUTH", " \n") == "ada:s3cret"
    assert tidied_secret("FLOWER_BASIC_AUTH", " bob:other\n") == "bob:other"
    with pytest.raises(ConfigurationError, match=r"^FLOWER_BASIC_AUTH contains a line break"):
        tidied_secret("FLOWER_BASIC_AUTH", "ada:s3\ncret")
    assert tidied("") == ""

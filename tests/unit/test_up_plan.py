"""What `up` decides to run, from its options and the settings."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from roark_ledger.errors import ConfigurationError
from roark_ops.console.settings import ConsoleSettings
from roark_ops.up import parts
from roark_ops.up.environments import Environments, environments
from roark_ops.up.plan import Options, Settings, UpPlan, make_plan
from roark_ops.up.ports import PortTaken, choose_port
from roark_producer.settings import IngestSettings, WebhookSettings, variable_of
from roark_worker.calls.vapi_settings import VapiSettings
from roark_worker.settings import WorkerSettings


@pytest.fixture(autouse=True)
def _a_place_without_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ROARK_API_BEARER_TOKEN", "ROARK_API_BEARER_TOKEN_FILE", "ROARK_INGEST_REDIS_URL", "ROARK_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def plan(monkeypatch: pytest.MonkeyPatch, options: Options, **environment: str) -> UpPlan:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return make_plan(options, Settings(IngestSettings(), WebhookSettings(), WorkerSettings()))


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_with_a_token_reports_go_to_roark_and_no_made_up_ones_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(monkeypatch, Options(), ROARK_API_BEARER_TOKEN="token")

    assert made.sandbox is None
    assert not made.demo
    assert made.roark_url == "https://api.roark.ai"


def test_without_a_token_the_sandbox_is_used_and_known_to_be_used_for_that_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = plan(monkeypatch, Options())

    assert made.sandbox is not None
    assert made.sandbox_for_want_of_a_token
    assert not made.demo


def test_an_empty_token_is_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    assert plan(monkeypatch, Options(), ROARK_API_BEARER_TOKEN="").sandbox_for_want_of_a_token


def test_made_up_reports_go_to_the_sandbox_by_default_and_to_roark_only_on_demand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert plan(monkeypatch, Options(sandbox=True)).demo
    assert not plan(monkeypatch, Options(sandbox=True, demo=False)).demo
    assert plan(monkeypatch, Options(demo=True), ROARK_API_BEARER_TOKEN="token").demo


def test_once_without_a_demo_is_refused_because_there_would_be_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="--once"):
        plan(monkeypatch, Options(once=True), ROARK_API_BEARER_TOKEN="token")


def test_the_sandboxs_reports_are_kept_apart_on_a_server_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = plan(monkeypatch, Options(sandbox=True), ROARK_INGEST_REDIS_URL="redis://:secret@example.com/0")

    assert ours.prefix == "roark-sandbox"
    assert ours.hints(Path.cwd()) == {"ROARK_INGEST_PREFIX": "roark-sandbox"}


def test_another_terminal_is_told_of_a_data_directory_that_it_would_not_look_into(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = plan(monkeypatch, Options(sandbox=True))

    assert made.hints(Path.cwd() / ".roark-ingest") == {}
    assert made.hints(Path("/srv/calls")) == {"ROARK_INGEST_DATA_DIR": "/srv/calls"}


def test_in_front_of_the_sandbox_the_real_secrets_and_urls_are_out_of_the_parts_reach(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # given a real token and a real key, and files with them
    made = plan(
        monkeypatch, Options(sandbox=True), ROARK_API_BEARER_TOKEN="real", ROARK_BASE_URL="https://api.roark.ai"
    )
    names = ("ROARK_API_BEARER_TOKEN", "ROARK_API_BEARER_TOKEN_FILE", "VAPI_API_KEY", "VAPI_API_KEY_FILE")
    base = dict.fromkeys((*names, "VAPI_BASE_URL"), "real")

    # when the parts' environment is made
    found = environments(made, tmp_path, base).base

    # then none is in it, and files go where real reports do not lie
    assert found["ROARK_INGEST_DATA_DIR"] == str(tmp_path / "sandbox")
    assert "real" not in "".join(found.values())
    assert found["ROARK_BASE_URL"] == found["VAPI_BASE_URL"] == made.sandbox_url


def test_a_signature_that_the_demo_cannot_make_is_told_before_anything_is_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigurationError, match="ROARK_INGEST_WEBHOOK_HMAC"):
        plan(monkeypatch, Options(sandbox=True), ROARK_INGEST_WEBHOOK_HMAC="sha256", ROARK_INGEST_VAPI_SECRET="secret")


@pytest.mark.parametrize(("host", "expected"), [("127.0.0.1", True), ("0.0.0.0", False)])
def test_flower_and_the_console_run_by_default_where_the_webhook_serves_this_machine_only(
    monkeypatch: pytest.MonkeyPatch, host: str, *, expected: bool
) -> None:
    made = plan(monkeypatch, Options(), ROARK_INGEST_WEBHOOK_HOST=host)
    assert (made.flower is not None, made.console is not None) == (expected, expected)


def test_a_default_port_that_is_taken_is_replaced_and_that_is_known() -> None:
    with taken_port() as number:
        port = choose_port("sandbox", "127.0.0.1", number, asked_for=False, option="--sandbox-port")

    assert port.number != number
    assert port.instead_of == number


def test_a_port_that_was_asked_for_and_is_taken_is_an_error_that_names_the_option() -> None:
    with taken_port() as number, pytest.raises(PortTaken, match=rf"port {number} .* --sandbox-port"):
        choose_port("sandbox", "127.0.0.1", number, asked_for=True, option="--sandbox-port")


def test_a_webhook_port_from_the_environment_counts_as_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with taken_port() as number, pytest.raises(PortTaken, match="ROARK_INGEST_WEBHOOK_PORT"):
        plan(monkeypatch, Options(), ROARK_INGEST_WEBHOOK_PORT=str(number))


def test_an_address_that_is_not_this_machines_is_an_error_of_its_own() -> None:
    with pytest.raises(ConfigurationError, match=r"can't listen on 192\.0\.2\.1"):
        choose_port("webhook", "192.0.2.1", 8787, asked_for=False, option="--webhook-port")


def test_a_webhook_on_every_address_is_reached_on_this_machine_by_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(monkeypatch, Options(), ROARK_INGEST_WEBHOOK_HOST="0.0.0.0", ROARK_INGEST_VAPI_SECRET="secret")

    assert made.webhook_url == f"http://127.0.0.1:{made.webhook.number}/vapi"


def test_each_part_has_its_own_secrets_only_in_its_environment() -> None:
    names = {
        *("ROARK_INGEST_REDIS_URL", "ROARK_INGEST_VAPI_SECRET", "ROARK_API_BEARER_TOKEN", "VAPI_API_KEY"),
        *("ROARK_INGEST_ALERT_URL", "FLOWER_BASIC_AUTH", "ROARK_INGEST_BROKER_URL", "ROARK_INGEST_CONSOLE_PASSWORD"),
    }
    models = (IngestSettings, WebhookSettings, WorkerSettings, VapiSettings, ConsoleSettings)
    fields = (
        (model, name) for model in models for name, field in model.model_fields.items() if "SecretStr" in str(field)
    )
    assert {variable_of(model, name) for model, name in fields} | {"FLOWER_BASIC_AUTH"} == names
    names.add("ROARK_INGEST_REPLAY_TO_TOKEN")

    base = {f"{name}{end}": "s3cret" for name in names for end in ("", "_FILE")} | {"PATH": "/bin"}
    left = {part: set(Environments(base).of(part)) for part in parts.ORDER_OF_THE_END}

    assert left["valkey"] == left["sandbox"] == {"PATH"}
    assert "ROARK_API_BEARER_TOKEN_FILE" not in left["webhook"] | left["flower"]
    assert "ROARK_INGEST_VAPI_SECRET" not in left["worker"] | left["flower"]
    assert {"ROARK_API_BEARER_TOKEN", "VAPI_API_KEY_FILE"} <= left["worker"]
    assert "VAPI_API_KEY" in left["console"] - left["webhook"] - left["flower"]

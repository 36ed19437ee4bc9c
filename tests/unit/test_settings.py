"""Settings from the environment: validated, named in errors, secrets never shown."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from constants import with_constants
from pydantic import SecretStr

from roark_ledger.errors import ConfigurationError
from roark_producer.gone_settings import tell_gone_settings
from roark_producer.settings import FromEnvironment, IngestSettings, WebhookSettings
from roark_worker.settings import WorkerSettings

SECRET = "redis://:hunter2@redis.internal/0"


@pytest.fixture(autouse=True)
def an_empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("ROARK_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


class TestReading:
    def test_without_anything_set_the_defaults_are_those_of_the_documents(self) -> None:
        settings = IngestSettings()

        assert settings.redis_url is None
        assert settings.data_dir == Path(".roark-ingest")
        assert settings.prefix == "roark"
        assert settings.durability == "fsync"
        assert settings.revisions == "record"
        assert settings.reports_per_wakeup == 64

    def test_each_setting_is_a_variable_of_its_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ROARK_INGEST_REDIS_URL", SECRET)
        monkeypatch.setenv("ROARK_INGEST_DURABILITY", "replicated:2")
        monkeypatch.setenv("ROARK_INGEST_PROPERTIES", '{"env":"prod","shard":7,"live":true}')
        monkeypatch.setenv("ROARK_INGEST_PROPERTIES_FROM_QUERY", "campaign, region,")
        monkeypatch.setenv("ROARK_INGEST_PROPERTIES_FROM_REPORT", '{"tenant":"call.metadata.tenant"}')

        settings = IngestSettings()

        assert settings.redis_url is not None
        assert settings.redis_url.get_secret_value() == SECRET
        assert settings.durability == "replicated:2"
        rules = settings.property_rules()
        assert rules.static == {"env": "prod", "shard": 7, "live": True}
        assert [type(value) for value in rules.static.values()] == [str, int, bool]
        assert rules.from_query == ("campaign", "region")
        assert rules.from_report == {"tenant": "call.metadata.tenant"}

    def test_a_file_named_dot_env_is_read_and_the_environment_wins_over_it(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / ".env").write_text("ROARK_INGEST_PREFIX=from-file\nROARK_INGEST_REVISIONS=upload\nOTHER=1\n")
        monkeypatch.setenv("ROARK_INGEST_PREFIX", "from-environment")

        settings = IngestSettings()

        assert settings.prefix == "from-environment"
        assert settings.revisions == "upload"

    def test_what_it_does_not_know_is_somebody_elses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ROARK_INGEST_NO_SUCH_SETTING", "1")

        IngestSettings()

    def test_a_program_may_give_settings_by_their_names(self) -> None:
        assert IngestSettings(prefix="shop").prefix == "shop"

    def test_settings_do_not_change_once_they_are_built(self) -> None:
        with pytest.raises((TypeError, ValueError)):
            IngestSettings().prefix = "other"  # type: ignore[misc] # that is the point


ONE, TWO = "one-that-is-long-enough", "two-that-is-long-enough"


class TestSecrets:
    @pytest.mark.parametrize("show", [repr, str, lambda settings: str(settings.model_dump())])
    def test_they_are_masked_wherever_settings_are_printed(self, show: Any) -> None:
        shown = show(IngestSettings(redis_url=SecretStr(SECRET), broker_url=SecretStr(SECRET)))
        shown += show(WebhookSettings(vapi_secret=SecretStr("hunter2")))

        assert "hunter2" not in shown
        assert "**********" in shown

    def test_one_may_come_from_a_file(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text(f"{SECRET}\n")
        monkeypatch.setenv("ROARK_INGEST_REDIS_URL_FILE", str(tmp_path / "secret"))

        settings = IngestSettings()

        assert settings.redis_url is not None
        assert settings.redis_url.get_secret_value() == SECRET

    def test_a_variable_set_directly_wins_over_the_file(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("from-file")
        monkeypatch.setenv("ROARK_INGEST_VAPI_SECRET_FILE", str(tmp_path / "secret"))
        monkeypatch.setenv("ROARK_INGEST_VAPI_SECRET", "from-environment")

        assert WebhookSettings().secrets() == ("from-environment",)

    def test_a_file_that_is_not_there_is_said_with_its_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ROARK_INGEST_VAPI_SECRET_FILE", "/nowhere/secret")

        with pytest.raises(ConfigurationError, match=r"ROARK_INGEST_VAPI_SECRET_FILE names /nowhere/secret"):
            WebhookSettings()

    def test_a_file_that_is_no_text_is_said_with_its_variable(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "secret").write_bytes(b"\xff\xfe")
        monkeypatch.setenv("ROARK_INGEST_VAPI_SECRET_FILE", str(tmp_path / "secret"))

        with pytest.raises(ConfigurationError, match=r"ROARK_INGEST_VAPI_SECRET_FILE"):
            WebhookSettings()

    @pytest.mark.parametrize(
        ("set_to", "valid"),
        [
            (None, ()),
            ("", ()),
            (" , ,", ()),
            ("one", ("one",)),
            (" one , two ", ("one , two",)),
            (f"{ONE} , {TWO},two", (f"{ONE} , {TWO},two", ONE, TWO)),
            (f"{ONE}\r\n\n  {TWO} \n", (f"{ONE}\r\n\n  {TWO}", ONE, TWO)),
        ],
    )
    def test_while_secrets_rotate_each_of_them_is_valid_and_an_empty_one_never(
        self, set_to: str | None, valid: tuple[str, ...]
    ) -> None:
        settings = WebhookSettings(vapi_secret=None if set_to is None else SecretStr(set_to))

        assert settings.secrets() == valid


class TestErrors:
    @pytest.mark.parametrize(
        ("model", "variable", "value"),
        [
            (IngestSettings, "ROARK_INGEST_PREFIX", "hunter2 {}"),
            (IngestSettings, "ROARK_INGEST_REVISIONS", "hunter2"),
            (IngestSettings, "ROARK_INGEST_REJECTED_MAX_BYTES", "hunter2"),
            (IngestSettings, "ROARK_INGEST_REJECTED_MAX_BYTES", "0"),
            (IngestSettings, "ROARK_INGEST_MAX_REPORT_BYTES", "hunter2"),
            (IngestSettings, "ROARK_INGEST_PROPERTIES", "hunter2"),
            (IngestSettings, "ROARK_INGEST_PROPERTIES", '["hunter2"]'),
            (IngestSettings, "ROARK_INGEST_PROPERTIES", '{"a":{"hunter2":1}}'),
            (IngestSettings, "ROARK_INGEST_PROPERTIES_FROM_REPORT", '{"a":"hunter2"'),
            (IngestSettings, "ROARK_INGEST_LOG_LEVEL", "hunter2"),
            (WebhookSettings, "ROARK_INGEST_WEBHOOK_PORT", "hunter2"),
            (WebhookSettings, "ROARK_INGEST_WEBHOOK_PATH", "hunter2"),
            (WebhookSettings, "ROARK_INGEST_WEBHOOK_HMAC", "hunter2"),
        ],
    )
    def test_each_names_the_variable_and_never_the_value(
        self, monkeypatch: pytest.MonkeyPatch, model: type[FromEnvironment], variable: str, value: str
    ) -> None:
        monkeypatch.setenv(variable, value)

        with pytest.raises(ConfigurationError) as caught:
            model()

        assert variable in str(caught.value)
        assert "hunter2" not in str(caught.value)
        # What is behind an error must not bring the value out again in a traceback.
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__

    def test_an_unknown_promise_is_answered_with_those_there_are(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ROARK_INGEST_DURABILITY", "sometimes")

        with pytest.raises(ConfigurationError, match=r"ROARK_INGEST_DURABILITY.*fsync, replicated:N .* or memory"):
            IngestSettings()

    def test_all_that_is_wrong_is_said_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ROARK_INGEST_PREFIX", "no good")
        monkeypatch.setenv("ROARK_INGEST_LOG_LEVEL", "loud")

        with pytest.raises(ConfigurationError) as caught:
            IngestSettings()

        assert "ROARK_INGEST_PREFIX" in str(caught.value)
        assert "ROARK_INGEST_LOG_LEVEL" in str(caught.value)

    def test_a_property_name_that_roark_does_not_take_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="Tenant"):
            IngestSettings(properties={"Tenant": 1}).property_rules()


class TestGoneSettings:
    @pytest.fixture(autouse=True)
    def told_anew(self) -> None:
        tell_gone_settings.cache_clear()

    def test_a_constant_is_what_a_test_passes_in_and_never_what_the_environment_says(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("ROARK_INGEST_QUICK_TRIES", "4")
        (tmp_path / ".env").write_text("ROARK_INGEST_BURST=9\nROARK_INGEST_MAX_ATTEMPTS=7\n")

        assert WorkerSettings().quick_tries == 2
        assert (WorkerSettings().burst, WorkerSettings().max_attempts) == (0, 7)
        assert WorkerSettings(quick_tries=4, burst=9).quick_tries == 4

    def test_only_a_process_that_a_test_starts_takes_it_from_its_environment(self) -> None:
        code = "from roark_worker.settings import WorkerSettings; print(WorkerSettings().tick_seconds)"
        environment = {"PATH": os.environ["PATH"], "ROARK_INGEST_TICK_SECONDS": "0.2"}
        told = [
            subprocess.run([sys.executable, "-c", code], env=environment | more, check=True, capture_output=True).stdout
            for more in ({}, {"PYTHONPATH": with_constants()})
        ]

        assert told == [b"1.0\n", b"0.2\n"]

    def test_one_line_names_each_that_is_still_set_and_the_value_that_holds(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setenv("ROARK_INGEST_QUICK_TRIES", "not even a number")
        (tmp_path / ".env").write_text("ROARK_INGEST_BREAKER_SHARE=0.9\nROARK_INGEST_PROBE_SECONDS=2\n")

        tell_gone_settings()
        tell_gone_settings()

        told = sorted(str(record.__dict__["fields"]["why"]) for record in caplog.records)
        assert told == [
            "no longer a setting since 0.2: ROARK_INGEST_BREAKER_SHARE; the value is 0.5",
            "no longer a setting since 0.2: ROARK_INGEST_PROBE_SECONDS; the value is decided by the pipeline itself",
            "no longer a setting since 0.2: ROARK_INGEST_QUICK_TRIES; the value is 2",
        ]

    def test_where_none_is_set_nothing_is_said(self, caplog: pytest.LogCaptureFixture) -> None:
        tell_gone_settings()

        assert caplog.records == []

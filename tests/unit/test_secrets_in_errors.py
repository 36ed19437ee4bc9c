"""No error repeats a value of a setting that holds a URL or a secret, whatever stands there."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roark_ledger.errors import ConfigurationError
from roark_ledger.keeping import Keeper
from roark_ledger.logs import masked_text, masked_traceback, never_show
from roark_ledger.server.redis_url import parse_redis_url, without_credentials
from roark_ledger.urls import split_url, without_secrets
from roark_ops.cli.app import app
from roark_ops.desk.rehearsal import Rehearsal
from roark_ops.doctor.outside import check_public
from roark_ops.up.plan import server_in_words
from roark_producer.settings import FromEnvironment, IngestSettings, WebhookSettings, settings_of, variable_of
from roark_worker.alerts.post import AlertNotTaken, post
from roark_worker.calls.vapi_settings import VapiSettings
from roark_worker.settings import WorkerSettings
from roark_worker.upkeep.setup_notes import shown_url

PASSWORD = "hunter2pw"
ODD = (
    "redis://:{0}/slash@h:1/0", "redis://:{0}?q@h", "redis://:{0}#q@h/0", "redis://u:{0}@[h:1", "redis://:{0}℀@h",
    "redis://h:{0}/0", "{0}", "unix://:{0}@sock", "unix://:{0}@/sock?{0}=1", "redis://[{0}]:1/0", "redis://:{0}]@h/0",
    "redis://h/0?{0}=1", "redis://h/0?retry_{0}=1", "redis://h/{0}", "redis://h/0?db={0}", "redis://:{0}@h:99999",
    "sentinel://:{0}/s@h:1/x?master=m&password={0}", "redis+cluster://:{0}@h", "redis://:a@{0}@h", "redis://h/0?ssl_{0}=1",
    "https://u:{0}/x@h", "https://u:{0}@[h", "https://:{0}℀@h/", "https://h:{0}/", "//{0}", "https://{0}@", "ftp://{0}",
    "http://u:{0}@h", "{0}\n", "é{0}", "{0}\x00", " {0} ", '{{"a":"{0}"',
)  # fmt: skip


@pytest.fixture(autouse=True)
def no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def told(model: type[FromEnvironment]) -> str:
    try:
        model()
    except ConfigurationError as error:
        return f"{error} {error.__cause__}"
    return ""


@pytest.mark.parametrize("model", [IngestSettings, WebhookSettings, WorkerSettings, VapiSettings])
def test_no_error_of_a_setting_with_a_secret_repeats_what_stands_there(
    model: type[FromEnvironment], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, field in settings_of(model).items():
        if "SecretStr" not in str(field.annotation) and not name.endswith("_url"):
            continue
        variable = variable_of(model, name)
        for odd in ODD:
            value = odd.format(PASSWORD)
            if "\0" in value:
                continue
            monkeypatch.setenv(variable, value)
            assert PASSWORD not in told(model), (variable, value)
        monkeypatch.delenv(variable)


def test_no_part_that_reads_a_url_repeats_it(tmp_path: Path) -> None:
    for odd in ODD:
        url = odd.format(PASSWORD)
        for read in (
            parse_redis_url, split_url, lambda u: list(check_public(WebhookSettings(), u)),
            lambda u: Rehearsal(None, url=u, token=None, settings=WorkerSettings()),  # type: ignore[arg-type]
        ):  # fmt: skip
            said = ""
            try:
                read(url)
            except (ValueError, ConfigurationError) as error:
                said = str(error)
            assert PASSWORD not in said, url


@pytest.mark.parametrize("odd", ODD[:-1])
def test_no_name_of_a_server_has_its_password(odd: str, tmp_path: Path) -> None:
    url = odd.format(PASSWORD)
    try:
        parse_redis_url(url)
    except ConfigurationError:
        # Nothing is done with one that cannot be read.
        return
    if PASSWORD in url.rpartition("@")[2].partition("?")[0]:
        return
    assert PASSWORD not in without_credentials(url)
    assert PASSWORD not in server_in_words(url)
    assert PASSWORD not in Keeper.of(tmp_path, url, "roark")._name


def test_an_address_is_shown_without_what_is_secret() -> None:
    for odd in (
        "https://u:{0}@h/p",
        "https://h/p?token={0}",
        "https://:{0}℀@h/",
        "https://u:{0}@[h",
        "https://h/p#{0}",
    ):
        url = odd.format(PASSWORD)
        assert PASSWORD not in shown_url(url)
        assert PASSWORD not in without_secrets(url)
    assert without_secrets("https://u:p@h:8/p?q#f") == "https://h:8/p"


def test_files_of_ledgers_keep_their_names(tmp_path: Path) -> None:
    # Another name would make another ledger of it at an upgrade.
    for url, name in {
        "redis://localhost:6379/0": "roark localhost:6379/0",
        "redis://me:pw@h:1": "roark h:1",
        "rediss://:p%40w@h:1/2?ssl_cert_reqs=none": "roark h:1/2",
        "unix:///run/x/valkey.sock": "roark /run/x/valkey.sock",
        "sentinel://a:1,b:2/0?master=m": "roark a:1,b:2/0?master=m",
    }.items():
        assert Keeper.of(tmp_path, url, "roark")._name == name


def test_a_traceback_is_told_without_the_secrets_of_the_settings(tmp_path: Path) -> None:
    program = f"""
from roark_ledger.logs import set_up_logging
from roark_producer.settings import IngestSettings
set_up_logging("console", "info")
url = IngestSettings(redis_url="redis://:{PASSWORD}/slash@h:1/0").redis_url.get_secret_value()
raise ValueError("cannot parse " + url.split("@")[0][9:])
"""
    program += f"# {PASSWORD}"
    file = tmp_path / "program.py"
    file.write_text(program.replace(f"# {PASSWORD}", ""))
    ended = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "cannot parse ***" in ended.stderr
    assert PASSWORD not in ended.stderr


def test_known_secrets_are_masked_in_tracebacks_and_short_ones_are_not() -> None:
    never_show("a-secret-of-a-test", "abc", "", None)
    assert masked_traceback("it is a-secret-of-a-test, abc") == "it is ***, abc"


def test_a_password_with_a_slash_is_masked_in_any_text() -> None:
    assert PASSWORD not in masked_text(f"cannot reach redis://:{PASSWORD}/slash@h:1/0 now")
    assert masked_text('{"a":"https://h/x","b":"me@x"}') == '{"a":"https://h/x","b":"me@x"}'


def test_an_api_has_no_query_that_could_carry_a_secret() -> None:
    for model, name in ((WorkerSettings, "roark_base_url"), (VapiSettings, "vapi_base_url")):
        for end in ("?key=hunter2", "#hunter2", "/x?hunter2"):
            with pytest.raises(ConfigurationError, match="without \\? and #") as refused:
                model(**{name: f"https://api.example{end}"})
            assert "hunter2" not in str(refused.value)


def test_a_proxy_that_is_none_is_told_without_its_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "ftp://:hunter2@proxy")
    with pytest.raises(AlertNotTaken, match="HTTPS_PROXY") as refused:
        post("https://127.0.0.1:9/hook", {}, tries=1)
    assert "hunter2" not in str(refused.value)


def test_a_command_says_so_in_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    set_to = {
        "HTTPS_PROXY": "ftp://:hunter2@proxy",
        "VAPI_API_KEY": "key",
        "ROARK_INGEST_REDIS_URL": "redis://127.0.0.1:9",
    }
    ended = CliRunner().invoke(app, ["reconcile"], env=set_to)
    assert ended.exit_code == 1
    assert ended.stderr.startswith("roark-ingest: HTTPS_PROXY")
    assert "hunter2" not in ended.output

"""ops/systemd: what systemd would refuse, and what must be true of the units for the promises to hold."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from roark_ops.console.settings import ConsoleSettings
from roark_ops.up.parts import _SPARE_SECONDS as SPARE_SECONDS
from roark_producer.settings import IngestSettings, WebhookSettings, settings_of, variable_of
from roark_producer.webhook.serving.process import SHUTDOWN_SECONDS
from roark_worker.calls.vapi_settings import VapiSettings
from roark_worker.process.supervisor import GRACE_SECONDS
from roark_worker.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "ops" / "systemd"
BINARY = "/opt/roark-ingest/bin/roark-ingest"
SERVICES = {path.stem.removeprefix("roark-ingest-"): path for path in FOLDER.glob("*.service")}
OURS = sorted(SERVICES.keys() - {"redis"})
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
DRAIN_SECONDS = float(WorkerSettings.model_fields["shutdown_seconds"].default)


def values(name: str, key: str) -> list[str]:
    """All values that a unit gives to a key."""
    return re.findall(rf"^{key}=(.*)$", SERVICES[name].read_text("utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units, with commands that exist on this machine: systemd looks for them."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze on this machine")
    folder = tmp_path_factory.mktemp("systemd")
    for unit in (*FOLDER.glob("*.service"), *FOLDER.glob("*.target")):
        text = unit.read_text("utf-8").replace(BINARY, str(Path(sys.executable).parent / "roark-ingest"))
        (folder / unit.name).write_text(text.replace("/usr/bin/redis-server", sys.executable), "utf-8")
    return folder


def test_systemd_finds_nothing_wrong(installed: Path) -> None:
    checked = subprocess.run(
        ["systemd-analyze", "verify", *map(str, sorted(installed.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("name", SERVICES)
def test_a_unit_that_is_broken_into_can_do_little(installed: Path, name: str) -> None:
    path = str(installed / SERVICES[name].name)
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", path],
        capture_output=True,
        text=True,
        check=False,
    )

    assert judged.returncode == 0, judged.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_what_ends_is_started_again_for_ever_and_not_as_root(name: str) -> None:
    assert values(name, "Restart") == ["always"]
    assert values(name, "StartLimitIntervalSec") == ["0"]
    assert values(name, "User") == ["roark-ingest"]
    assert values(name, "MemoryMax")


def test_a_worker_is_given_the_time_that_its_drain_may_take_and_only_its_supervisor_is_told() -> None:
    assert f"ROARK_INGEST_SHUTDOWN_SECONDS={DRAIN_SECONDS:.0f}" in values("worker", "Environment")
    assert float(values("worker", "TimeoutStopSec")[0]) > DRAIN_SECONDS + GRACE_SECONDS
    assert values("worker", "KillMode") == ["mixed"]


def test_the_whole_pipeline_is_given_the_time_to_end_its_parts_one_after_the_other() -> None:
    longest = SHUTDOWN_SECONDS + SPARE_SECONDS + DRAIN_SECONDS + GRACE_SECONDS + SPARE_SECONDS

    assert float(values("up", "TimeoutStopSec")[0]) > longest
    assert values("up", "KillMode") == ["mixed"]


def test_a_webhook_is_given_the_time_to_answer() -> None:
    assert float(values("webhook", "TimeoutStopSec")[0]) > SHUTDOWN_SECONDS


def test_secrets_are_credentials_and_no_unit_names_one_itself() -> None:
    for name in OURS:
        given = {each.partition(":")[0] for each in values(name, "LoadCredential")}
        used = {each.partition("=%d/")[2] for each in values(name, "Environment") if "=%d/" in each}
        assert given == used
    made = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    assert {each.partition(":")[0] for name in SERVICES for each in values(name, "LoadCredential")} == made - {
        "grafana_password"
    }


def test_every_setting_is_one_that_there_is() -> None:
    models = (IngestSettings, WebhookSettings, WorkerSettings, ConsoleSettings, VapiSettings)
    known = {variable_of(model, name) for model in models for name in settings_of(model)}
    known |= {f"{name}_FILE" for name in known} | {"FLOWER_BASIC_AUTH_FILE"}

    assert {each.partition("=")[0] for name in OURS for each in values(name, "Environment")} <= known


def test_the_server_keeps_what_the_default_promise_needs() -> None:
    (command,) = values("redis", "ExecStart")

    for option in (
        "--appendonly yes",
        "--appendfsync always",
        '--save ""',
        "--rdbcompression no",
        "--maxmemory-policy noeviction",
    ):
        assert option in command
        words = [word.strip('"') for word in option.split()]
        there = COMPOSE["services"]["redis"]["command"]
        assert there[there.index(words[0]) + 1] == words[1]
    assert "--bind 127.0.0.1" in command


def test_the_target_starts_every_part_and_never_beside_the_whole() -> None:
    target = (FOLDER / "roark-ingest.target").read_text("utf-8")

    wanted = re.search(r"^Wants=(.+)$", target, re.MULTILINE)
    assert wanted
    assert set(wanted[1].split()) == {path.name for name, path in SERVICES.items() if name != "up"}
    assert values("up", "Conflicts") == ["roark-ingest.target"]

"""docker-compose.yml: what must be true of it for the promises to hold in containers too."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from roark_ops.roles import EVERYBODY, RedisRole, user_line
from roark_producer.settings import WebhookSettings
from roark_worker.process.supervisor import GRACE_SECONDS
from roark_worker.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name in SERVICES if SERVICES[name]["image"].startswith("roark-ingest:")]


def seconds(duration: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(s|m)", duration).groups()  # type: ignore[union-attr] # fails the test as it should
    return int(number) * {"s": 1, "m": 60}[unit]


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


def test_the_server_keeps_what_the_default_promise_needs() -> None:
    command = SERVICES["redis"]["command"]

    assert option(command, "--appendonly") == "yes"
    assert option(command, "--appendfsync") == "always"
    assert option(command, "--maxmemory-policy") == "noeviction"
    assert option(command, "--rdbcompression") == "no"


def test_what_was_promised_to_be_on_disk_outlives_its_container() -> None:
    assert SERVICES["redis"]["volumes"] == ["redis-data:/data"]
    assert SERVICES["webhook"]["volumes"] == [
        f"webhook-data:{SERVICES['webhook']['environment']['ROARK_INGEST_DATA_DIR']}"
    ]
    assert {"redis-data", "webhook-data"} <= set(COMPOSE["volumes"])


def test_nobody_outside_this_machine_reaches_a_port_without_a_proxy() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert "ports" not in SERVICES["redis"]


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - {"desk"}))
def test_every_service_is_started_again_when_it_ends(name: str) -> None:
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_every_part_runs_without_rights(name: str) -> None:
    assert SERVICES[name]["read_only"] is True
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", OURS)
def test_our_parts_are_one_image_with_an_init(name: str) -> None:
    assert SERVICES[name]["init"] is True
    assert SERVICES[name]["image"] == SERVICES["webhook"]["image"]


@pytest.mark.parametrize("name", SERVICES)
def test_no_part_can_take_all_of_the_machine(name: str) -> None:
    assert SERVICES[name]["deploy"]["resources"]["limits"].keys() == {"memory", "pids"}
    assert SERVICES[name]["logging"]["options"]["max-size"]


def test_the_image_is_built_once() -> None:
    assert SERVICES["webhook"]["build"]["dockerfile"] == "ops/docker/Dockerfile"
    assert [name for name in SERVICES if "build" in SERVICES[name]] == ["webhook"]


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - {"desk"}))
def test_every_service_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]


def test_the_webhook_counts_as_healthy_only_when_it_can_store_reports() -> None:
    assert "/readyz" in " ".join(SERVICES["webhook"]["healthcheck"]["test"])


def test_secrets_come_from_files_and_only_to_who_needs_them() -> None:
    assert SERVICES["worker"]["environment"]["ROARK_API_BEARER_TOKEN_FILE"] == "/run/secrets/roark_api_bearer_token"
    assert SERVICES["webhook"]["environment"]["ROARK_INGEST_VAPI_SECRET_FILE"] == "/run/secrets/vapi_secret"
    assert SERVICES["flower"]["environment"]["FLOWER_BASIC_AUTH_FILE"] == "/run/secrets/flower_basic_auth"
    assert {name: service["secrets"] for name, service in SERVICES.items() if "secrets" in service} == {
        "redis": ["redis_conf"],
        "worker": ["redis_url_worker", "roark_api_bearer_token", "vapi_api_key"],
        "webhook": ["redis_url_producer", "vapi_secret"],
        "flower": ["redis_url_viewer", "flower_basic_auth"],
        "desk": ["redis_url_operator"],
        "console": ["redis_url_operator", "console_password"],
        "grafana": ["grafana_password"],
    }
    for service in SERVICES.values():
        assert not {"ROARK_API_BEARER_TOKEN", "ROARK_INGEST_VAPI_SECRET"} & set(service.get("environment", {}))


def test_the_script_makes_every_secret_once_and_keeps_it(tmp_path: Path) -> None:
    # given a copy of the script, as it would lie in a clone
    (tmp_path / "ops" / "docker").mkdir(parents=True)
    script = shutil.copy(ROOT / "ops" / "docker" / "secrets.sh", tmp_path / "ops" / "docker")
    shutil.copy(ROOT / "ops" / "docker" / "users.acl", tmp_path / "ops" / "docker")

    def made() -> dict[str, str]:
        subprocess.run(["sh", script], env=os.environ | {"ROARK_API_BEARER_TOKEN": "token"}, check=True)
        return {each.name: each.read_text("utf-8") for each in (tmp_path / "secrets").iterdir()}

    # when it runs twice
    first = made()

    # then it has made what the file mounts, and the second time nothing
    assert first.keys() == {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    assert made() == first
    # and nobody else on the machine can read it, while the containers' user can
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert all(each.stat().st_mode & 0o777 == 0o444 for each in (tmp_path / "secrets").iterdir())
    # and the server's users have the passwords that are in the URLs
    users = {line.split()[1]: line.split() for line in first["redis_conf"].splitlines()}
    assert users.keys() == {"default", *RedisRole}
    for role in RedisRole:
        assert users[role][4].startswith(">")
        assert len(users[role][4]) == 49
        assert first[f"redis_url_{role}"] == f"redis://{role}:{users[role][4][1:]}@redis:6379/0"


def test_the_users_of_redis_are_those_that_the_command_prints() -> None:
    lines = (ROOT / "ops" / "docker" / "users.acl").read_text("utf-8").splitlines()

    assert [line for line in lines if not line.startswith("#")] == [f"user {EVERYBODY}", *map(user_line, RedisRole)]


def test_a_worker_is_given_the_time_that_its_drain_may_take() -> None:
    drain = float(SERVICES["worker"]["environment"]["ROARK_INGEST_SHUTDOWN_SECONDS"])

    assert drain == WorkerSettings.model_fields["shutdown_seconds"].default
    assert seconds(SERVICES["worker"]["stop_grace_period"]) > drain + GRACE_SECONDS


def test_the_sandbox_is_there_only_when_it_is_asked_for() -> None:
    assert SERVICES["sandbox"]["profiles"] == ["sandbox"]
    assert not any("sandbox" in service.get("depends_on", {}) for service in SERVICES.values())


def test_monitoring_is_there_only_when_it_is_asked_for_and_finds_its_files() -> None:
    for name in ("prometheus", "grafana"):
        assert SERVICES[name]["profiles"] == ["monitoring"]
        for source in (volume.split(":")[0] for volume in SERVICES[name]["volumes"] if volume.startswith("./")):
            assert (ROOT / source).is_dir()
    scraped = yaml.safe_load((ROOT / "ops" / "prometheus" / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    targets = {job["dns_sd_configs"][0]["names"][0]: job["dns_sd_configs"][0]["port"] for job in scraped}
    assert targets == {
        "webhook": WebhookSettings.model_fields["webhook_metrics_port"].default,
        "worker": WorkerSettings.model_fields["metrics_port"].default,
    }
    assert SERVICES["webhook"]["environment"]["ROARK_INGEST_WEBHOOK_METRICS_HOST"] == "0.0.0.0"
    assert SERVICES["worker"]["environment"]["ROARK_INGEST_METRICS_HOST"] == "0.0.0.0"


def test_the_sandbox_can_be_what_the_worker_uploads_to(monkeypatch: pytest.MonkeyPatch) -> None:
    # given the address that the file's head tells people to use, which is not https
    address = re.search(
        r"ROARK_BASE_URL=(\S+) docker compose --profile sandbox", (ROOT / "docker-compose.yml").read_text()
    )
    assert address
    monkeypatch.setenv("ROARK_BASE_URL", address[1])

    # then the worker takes it
    assert WorkerSettings().roark_base_url == "http://sandbox:4010"


def test_the_image_is_not_run_by_root() -> None:
    dockerfile = (ROOT / "ops" / "docker" / "Dockerfile").read_text("utf-8")

    stages = re.split(r"^FROM ", dockerfile, flags=re.MULTILINE)
    assert re.search(r"^USER 10001:10001$", stages[-1], re.MULTILINE)
    assert "constraints.txt" in dockerfile


def test_every_file_that_the_image_copies_may_be_copied() -> None:
    dockerfile = (ROOT / "ops" / "docker" / "Dockerfile").read_text("utf-8")
    allowed = set((ROOT / ".dockerignore").read_text("utf-8").split())

    for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists()
            assert f"!{source}" in allowed

"""docker-compose.yml: what must be true of it for the promises to hold in containers too."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from roark_worker.settings import WorkerSettings
from roark_worker.supervisor import GRACE_SECONDS

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name in SERVICES if name != "valkey"]


def seconds(duration: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(s|m)", duration).groups()  # type: ignore[union-attr] # fails the test as it should
    return int(number) * {"s": 1, "m": 60}[unit]


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


def test_the_server_keeps_what_the_default_promise_needs() -> None:
    command = SERVICES["valkey"]["command"]

    assert option(command, "--appendonly") == "yes"
    assert option(command, "--appendfsync") == "always"
    assert option(command, "--maxmemory-policy") == "noeviction"


def test_what_was_promised_to_be_on_disk_outlives_its_container() -> None:
    assert SERVICES["valkey"]["volumes"] == ["valkey-data:/data"]
    assert SERVICES["webhook"]["volumes"] == [
        f"webhook-data:{SERVICES['webhook']['environment']['ROARK_INGEST_DATA_DIR']}"
    ]
    assert {"valkey-data", "webhook-data"} <= set(COMPOSE["volumes"])


def test_nobody_outside_this_machine_reaches_a_port_without_a_proxy() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert "ports" not in SERVICES["valkey"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_started_again_when_it_ends(name: str) -> None:
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", OURS)
def test_our_parts_run_without_rights_and_with_an_init(name: str) -> None:
    part = SERVICES[name]

    assert part["init"] is True
    assert part["read_only"] is True
    assert part["cap_drop"] == ["ALL"]
    assert part["build"]["dockerfile"] == "ops/docker/Dockerfile"


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "worker"])
def test_every_service_that_can_be_asked_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]


def test_the_webhook_counts_as_healthy_only_when_it_can_store_reports() -> None:
    assert "/readyz" in " ".join(SERVICES["webhook"]["healthcheck"]["test"])


def test_secrets_come_from_files_and_only_to_who_needs_them() -> None:
    assert SERVICES["worker"]["environment"]["ROARK_API_BEARER_TOKEN_FILE"] == "/run/secrets/roark_api_bearer_token"
    assert SERVICES["webhook"]["environment"]["ROARK_INGEST_VAPI_SECRET_FILE"] == "/run/secrets/vapi_secret"
    assert {name: service["secrets"] for name, service in SERVICES.items() if "secrets" in service} == {
        "worker": ["roark_api_bearer_token"],
        "webhook": ["vapi_secret"],
    }
    for service in SERVICES.values():
        assert not {"ROARK_API_BEARER_TOKEN", "ROARK_INGEST_VAPI_SECRET"} & set(service.get("environment", {}))


def test_flower_does_not_start_without_a_password() -> None:
    assert SERVICES["flower"]["environment"]["FLOWER_BASIC_AUTH"].startswith("${FLOWER_BASIC_AUTH:?")


def test_a_worker_is_given_the_time_that_its_drain_may_take() -> None:
    drain = float(SERVICES["worker"]["environment"]["ROARK_INGEST_SHUTDOWN_SECONDS"])

    assert drain == WorkerSettings.model_fields["shutdown_seconds"].default
    assert seconds(SERVICES["worker"]["stop_grace_period"]) > drain + GRACE_SECONDS


def test_the_sandbox_is_there_only_when_it_is_asked_for() -> None:
    assert SERVICES["sandbox"]["profiles"] == ["sandbox"]
    assert not any("sandbox" in service.get("depends_on", {}) for service in SERVICES.values())


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
    assert re.search(r"^USER 10001$", stages[-1], re.MULTILINE)
    assert "constraints.txt" in dockerfile


def test_every_file_that_the_image_copies_may_be_copied() -> None:
    dockerfile = (ROOT / "ops" / "docker" / "Dockerfile").read_text("utf-8")
    allowed = set((ROOT / ".dockerignore").read_text("utf-8").split())

    for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists()
            assert f"!{source}" in allowed

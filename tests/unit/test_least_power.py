"""Who has which secret: the same in Compose, Kubernetes and systemd, and under `up` but for one, which a page names."""

import re
from pathlib import Path
from typing import Any

import yaml

from roark_ops.up.environments import _SECRETS

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
PARTS = {
    "webhook": {"redis_url_producer", "vapi_secret"},
    "worker": {"redis_url_worker", "roark_api_bearer_token", "vapi_api_key"},
    "flower": {"redis_url_viewer", "flower_basic_auth"},
    "console": {"redis_url_operator", "console_password"},
}
SETTINGS = {
    "vapi_secret": "ROARK_INGEST_VAPI_SECRET",
    "roark_api_bearer_token": "ROARK_API_BEARER_TOKEN",
    "vapi_api_key": "VAPI_API_KEY",
    "flower_basic_auth": "FLOWER_BASIC_AUTH",
    "console_password": "ROARK_INGEST_CONSOLE_PASSWORD",
}


def kubernetes(part: str) -> set[str]:
    documents = yaml.safe_load_all((ROOT / "ops" / "kubernetes" / f"{part}.yaml").read_text("utf-8"))
    pods = [each["spec"]["template"]["spec"] for each in documents if each["kind"] in {"Deployment", "StatefulSet"}]
    volumes = [volume["secret"] for pod in pods for volume in pod["volumes"] if "secret" in volume]
    assert all("items" in each for each in volumes), "a secret without items has all of them"
    for pod in pods:
        for container in pod["containers"]:
            assert not [each for each in container.get("envFrom", []) if "secretRef" in each]
            assert not [each for each in container.get("env", []) if "secretKeyRef" in str(each)]
    return {item["key"] for each in volumes for item in each["items"]}


def systemd(part: str) -> set[str]:
    unit = (ROOT / "ops" / "systemd" / f"roark-ingest-{part}.service").read_text("utf-8")
    return set(re.findall(r"^LoadCredential=(\w+):", unit, re.MULTILINE))


def test_each_part_has_its_own_secrets_only_wherever_it_runs() -> None:
    for part, own in PARTS.items():
        assert set(COMPOSE["services"][part]["secrets"]) == own, part
        assert kubernetes(part) == own, part
        assert systemd(part) == own, part


def test_up_gives_the_console_the_key_of_vapi_and_the_page_says_who_does_not() -> None:
    given = {part: {SETTINGS[name] for name in own if name in SETTINGS} for part, own in PARTS.items()}
    given["worker"].add("ROARK_INGEST_ALERT_URL")
    given["console"].add("VAPI_API_KEY")
    for part, settings in given.items():
        assert {each for each in _SECRETS[part] if "REDIS_URL" not in each and "BROKER_URL" not in each} == settings
    page = " ".join((ROOT / "ops" / "docs" / "console.md").read_text("utf-8").split())
    assert "in Compose, Kubernetes and systemd the workers alone have it" in page
    for how in (
        "secrets: [redis_url_operator, console_password, vapi_api_key]",
        "LoadCredential=vapi_api_key:",
        "egress",
    ):
        assert how in page


def test_of_all_parts_the_worker_alone_leaves_the_cluster() -> None:
    policies = list(yaml.safe_load_all((ROOT / "ops" / "kubernetes" / "network.yaml").read_text("utf-8")))
    leaving = [
        policy["metadata"]["name"]
        for policy in policies
        for rule in policy["spec"].get("egress", [])
        if not rule.get("to") or any("ipBlock" in each for each in rule["to"])
    ]
    assert leaving == ["worker"]
    held = [policy for policy in policies if "Egress" in policy["spec"]["policyTypes"]]
    assert any(policy["spec"]["podSelector"] == {} and not policy["spec"].get("egress") for policy in held), (
        "all are held"
    )

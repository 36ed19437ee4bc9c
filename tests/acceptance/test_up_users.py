"""`roark-ingest up` gives each part its own user of the embedded server, and its own secrets only."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from test_up import SETTINGS, Running, descendants, enqueue_one, states, until, up

from roark_ledger.server.connection import connect, redis_url
from roark_ledger.server.redis_url import parse_redis_url

pytestmark = pytest.mark.acceptance

SECRETS = {
    "ROARK_INGEST_VAPI_SECRET": ("webhook",),
    "ROARK_INGEST_ALERT_URL": ("worker",),
    "ROARK_INGEST_CONSOLE_PASSWORD": ("console",),
    "FLOWER_BASIC_AUTH": ("flower",),
}
USERS = {"webhook": "producer", "worker": "worker", "flower": "viewer", "console": "operator"}
# Tried at the start, to know what there is: the server's settings, and whether workers can be talked to.
TRIED = {"producer: command config|get", "worker: command config|get", "producer: command publish"}
# What the test itself asks the server with: in its processes `default` is no stranger.
ADMIN = """
import roark_ops.roles
roark_ops.roles.EVERYBODY = "default on nopass ~* &* +@all"
"""


def part_of(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except OSError:
        return ""
    return next((name for name in ("flower", "console", "webhook", "worker") if name in words), "")


def environments(running: Running) -> dict[str, dict[str, str]]:
    found = {}
    for pid in descendants(running.process.pid):
        if name := part_of(pid):
            lines = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
            found[name] = dict(line.split("=", 1) for line in lines if "=" in line)
    return found


def workers_at(flower: str, login: str) -> int:
    user, _, password = login.partition(":")
    try:
        return len(httpx.get(f"{flower}/workers?json=1", auth=(user, password), trust_env=False).json()["data"])
    except (httpx.TransportError, ValueError):
        return 0


def run(folder: Path, environment: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "roark_ops.cli", *words]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)


def test_each_part_is_its_own_user_and_has_its_own_secrets_only(tmp_path: Path) -> None:
    # given secrets, some in the environment and some in `.env`, and a data directory of an earlier version
    clean = {name: value for name, value in os.environ.items() if not SETTINGS.fullmatch(name)}
    values = {name: f"https://127.0.0.1:9/{name.lower()}-5ecret" for name in SECRETS}
    in_the_file = ("ROARK_INGEST_VAPI_SECRET", "ROARK_INGEST_ALERT_URL")
    (tmp_path / ".env").write_text("".join(f"{name}={values[name]}\n" for name in in_the_file))
    (tmp_path / ".roark-ingest" / "valkey").mkdir(parents=True)
    (tmp_path / "admin").mkdir()
    (tmp_path / "admin" / "sitecustomize.py").write_text(ADMIN)
    person = clean | {name: value for name, value in values.items() if name not in in_the_file}
    environment = person | {"PYTHONPATH": str(tmp_path / "admin")}

    with up(environment, tmp_path, "--sandbox", "--no-demo", "--flower", "--console") as running:
        running.until_it_says("Press Ctrl-C")
        data_dir = tmp_path / ".roark-ingest"
        socket = parse_redis_url(redis_url(None, data_dir)).socket

        # when a report is delivered, with the secret of the file
        webhook = re.search(r"webhook +(http://\S+)", running.said())
        assert webhook
        body = {"message": {"type": "end-of-call-report", "call": {"id": "call-1"}}}
        for secret, status in (("wrong", 401), (values["ROARK_INGEST_VAPI_SECRET"], 200)):
            answer = httpx.post(webhook[1], json=body, headers={"x-vapi-secret": secret}, trust_env=False)
            assert answer.status_code == status
        until(lambda: states(data_dir)["delivered"] == 1)
        flower = re.search(r"Flower +(http://\S+)/tasks", running.said())
        assert flower
        until(lambda: workers_at(flower[1], values["FLOWER_BASIC_AUTH"]) == len(os.sched_getaffinity(0)))

        # then each part has been its own user, and nobody has had none
        with connect(f"unix://{socket}") as admin:
            until(lambda: set(USERS.values()) <= {each["user"] for each in admin.client_list()})
            assert {each["user"] for each in admin.client_list()} == {*USERS.values(), "default"}
            refused = {f"{each['username']}: {each['reason']} {each['object']}" for each in admin.acl_log()}
            assert refused <= TRIED
        found = environments(running)
        assert set(found) == set(USERS)
        for part, user in USERS.items():
            assert parse_redis_url(found[part]["ROARK_INGEST_REDIS_URL"]).username == user

        # and has its own secrets only
        for name, owners in SECRETS.items():
            assert {part for part, there in found.items() if values[name] in there.values()} == set(owners)
        assert all("ROARK_INGEST_NO_DOT_ENV" in found[part] for part in USERS)

        # and none of them can do what is another's
        as_worker, as_webhook = (
            person | {"ROARK_INGEST_REDIS_URL": found[part]["ROARK_INGEST_REDIS_URL"]} for part in ("worker", "webhook")
        )
        assert "the Redis user worker may not do this" in run(tmp_path, as_worker, "erase", "call-1", "--yes").stderr
        assert "NOPERM" in run(tmp_path, as_webhook, "log", "list").stderr

        # while a person in this folder needs no set-up, and is named with the user
        enqueue_one(person, tmp_path)
        assert run(tmp_path, person, "hold", "--reason", "test", "--as", "ada").returncode == 0
        assert "operator (ada)" in run(tmp_path, person, "log", "list").stdout
        assert run(tmp_path, person, "erase", "call-1", "--yes").returncode == 0
        assert states(data_dir)["erased"] == 1

        running.process.send_signal(signal.SIGTERM)
        assert running.exit_code() == 0

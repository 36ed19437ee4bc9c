"""Everything that this product does, on each server that people have: a worker, the webhook, Flower, every operator's
command, and the doctor. Long; by `make servers`."""

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import places
import pytest
import redis
from commands import CommandLine, report
from flowers import flower_beside
from pipeline import SUPERVISOR, Pipeline, free_port, wait_until

pytestmark = pytest.mark.servers
# What another application on the machine has set.
CELERY = {
    "CELERY_BROKER_URL": "redis://127.0.0.1:9/0",
    "CELERY_RESULT_BACKEND": "django-db",
    "CELERY_CONFIG_MODULE": "no_such_module",
}
Place = Callable[[Path], AbstractContextManager[places.Settings]]


def of(make: Callable[[str], AbstractContextManager[places.Settings]], kind: str) -> Place:
    return lambda _folder: make(kind)


def alone(make: Callable[..., AbstractContextManager[places.Settings]], ports: int = 1, **options: bool) -> Place:
    return lambda folder: make(folder, [free_port() for _ in range(ports)], **options)


PLACES = {
    **{
        f"{kind} {name}": of(make, kind)
        for kind in ("valkey", "redis7")
        for name, make in (
            ("with a password of odd signs", places.with_password),
            ("on IPv6", places.on_ipv6),
            ("on a socket's third database", places.on_a_socket),
            ("with the least ACL of the page", places.with_the_least_acl),
            ("without what is dangerous", places.without_dangerous),
            ("without channels", places.without_channels),
            ("as a cluster with the least ACL of the page", places.in_a_cluster),
        )
    },
    "TLS with a private CA": alone(places.with_tls, our_certificate=False),
    "TLS that demands a certificate": alone(places.with_tls, our_certificate=True),
    "Sentinel with passwords": alone(places.by_sentinel, 3, tls=False),
    "a cluster with passwords and TLS": alone(places.in_a_cluster_with_tls),
    "Sentinel with passwords and TLS": alone(places.by_sentinel, 3, tls=True),
}


@pytest.fixture(params=PLACES.values(), ids=PLACES)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[places.Settings]:
    with request.param(tmp_path) as settings:
        yield settings


@pytest.fixture
def line(settings: places.Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    for name, value in CELERY.items():
        monkeypatch.setenv(name, value)
    return CommandLine(settings[places.REDIS], "roark", tmp_path)


def test_everything_works_there(line: CommandLine, settings: places.Settings, request: pytest.FixtureRequest) -> None:
    silent = "without channels" in request.node.name
    operate(line)
    with pipeline(settings) as road:
        deliver(line, road, silent=silent)
        if not silent:
            with flower_beside(road) as flower:
                wait_until(flower.workers, "Flower shows the worker")
                wait_until(lambda: "roark" in flower.page("/broker"), "Flower's page on the broker")
                assert "Unable to get queues" not in flower.process.log
                assert places.ODD not in flower.page("/broker")
    levels = {check["name"]: check for check in line.run("doctor", "--json").document["checks"]}
    ours = {name: levels[name]["level"] for name in ("server", "durability", "broker", "lane", "accounts")}
    assert "FAIL" not in ours.values(), levels


def operate(line: CommandLine) -> None:
    """Every command that an operator has, on made-up dead letters."""
    line.bury_all("dead-1", "dead-2", "dead-3")
    line.accept("ready-1")
    line.defer("ready-1", delay_ms=3_600_000)
    for command in (
        ["status", "--json"],
        ["why", "dead-1", "--json"],
        ["dlq", "list", "--json"],
        ["dlq", "groups", "--json"],
        ["dlq", "show", "dead-1", "--json"],
        ["dlq", "edit", "dead-1", "--set", "transcript=mended", "--yes"],
        ["dlq", "discard", "dead-2", "--yes"],
        ["dlq", "restore", "dead-2"],
        ["dlq", "export", str(line.folder / "dead.ndjson")],
        ["dlq", "replay", "dead-3", "--yes"],
        ["replay", "list", "--json"],
        ["rejected", "list", "--json"],
        ["log", "list", "--json"],
        ["alerts", "list", "--json"],
        ["metrics"],
        ["hold", "--reason", "a test"],
        ["resume"],
        ["erase", "dead-1", "--yes", "--json"],
        ["audit", "--json"],
    ):
        ended = line.run(*command)
        assert ended.exit_code in {0, 3}, (command, ended.stdout, ended.stderr)
        assert "Redis" not in ended.stderr, (command, ended.stderr)


@contextlib.contextmanager
def pipeline(settings: places.Settings) -> Iterator[Pipeline]:
    with Pipeline(**settings, **CELERY) as road:
        road.start_sandbox()
        yield road


def deliver(line: CommandLine, road: Pipeline, *, silent: bool) -> None:
    """Hand in by the command and by the webhook; a worker delivers, audits, and keeps its connections."""
    worker = road.start("worker", *SUPERVISOR, ROARK_INGEST_PROCESSES="1")
    worker.wait_for_line("worker_started")
    webhook = road.start("webhook", "-m", "roark_ops.cli", "webhook", "--port", "0")
    webhook.wait_for_line("listening on")
    url = webhook.log.split("listening on ")[1].split()[0]
    handed = line.run("enqueue", "--json", "-", stdin=b"\n".join(report(f"file-{n}") for n in range(40)))
    assert handed.exit_code == 0, handed.stderr
    for number in range(5):
        answer = httpx.post(url, content=report(f"web-{number}"), trust_env=False)
        assert answer.json()["result"] == "accepted", webhook.log

    def delivered() -> int:
        return int(line.run("status", "--json").document["states"]["delivered"])

    wait_until(lambda: delivered() == 46, f"all are delivered; the worker says:\n{worker.log}")
    before = connections(line)
    quiet = time.monotonic() + 3
    wait_until(lambda: time.monotonic() > quiet, "some seconds pass")
    if before is not None:
        assert connections(line) - before < 8, f"the worker connects again and again:\n{worker.log}"  # type: ignore[operator]
    assert "Connection to broker lost" not in worker.log
    assert ("no_channels" in worker.log) is silent
    assert worker.log.count("celery_variables_ignored") == 1
    assert places.ODD not in worker.log + webhook.log


def connections(line: CommandLine) -> int | None:
    """How many connections the server has taken, where our user may ask."""
    try:
        return int(line.ledger.client.info("stats")["total_connections_received"])
    except redis.RedisError:
        return None


@pytest.mark.parametrize("kind", ["valkey", "redis7"])
def test_one_node_of_a_cluster_is_refused_by_every_start(kind: str, tmp_path: Path) -> None:
    with places.plain(kind, cluster_enabled="yes") as server:
        url = f"redis://127.0.0.1:{server.port}"
        line = CommandLine(url, "roark", tmp_path)
        checks = line.run("doctor", "--json", ROARK_API_BEARER_TOKEN="t" * 20)
        assert checks.exit_code == 3
        assert "node of a cluster" in checks.stdout
        assert "Traceback" not in checks.stdout + checks.stderr
        assert "node of a cluster" in line.run("enqueue", "-", stdin=report("call-1")).stderr
        with pipeline({places.REDIS: url}) as road:
            for part in (SUPERVISOR, ("-m", "roark_ops.cli", "webhook", "--port", "0")):
                started = road.start("part", *part, ROARK_INGEST_PROCESSES="1")
                wait_until(lambda started=started: not started.runs, "it ends")  # type: ignore[misc]
                assert "of a cluster" in started.log or "names a cluster" in started.log
                assert "Traceback" not in started.log

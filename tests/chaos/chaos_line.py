"""A whole pipeline of real processes under fire, and the proof at the end of each scenario.

    with Line("kill -9 of a worker", seed=1) as line:
        line.start()
        with line.fault():              # how long until all that was in the pipe is delivered, is measured from here
            line.kill(line.workers[0])
        line.prove()

The proof: by the senders' own list, which is outside of the store, every report answered with yes is at the sandbox,
byte for byte; the ledger has accepted that many and misses nothing; its audit holds; no report is there twice beyond
those that were in flight at the kills (the sandbox's own de-duplication is switched off).
"""

import contextlib
import os
import random
import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import tables
from chaos_load import ByProducer, Load, OverHttp, Sent, reports
from chaos_table import Row
from constants import with_constants
from pipeline import CELERY_WORKER, QUICK, TOKEN, NeverCame, Process, Sandbox, children_of, kill, wait_until
from replaying import replay_at_once
from servers import Server

from roark_ledger.errors import LedgerError
from roark_ledger.keys import DEFAULT_PREFIX
from roark_ledger.lifecycle import State
from roark_ledger.moves import desk, watch
from roark_ledger.partitions.ledger import PartedLedger
from roark_ledger.partitions.opening import open_ledger
from roark_ledger.records.snapshot import Snapshot
from roark_producer.disk.segments import pending
from roark_producer.producer import Producer
from roark_producer.settings import IngestSettings
from roark_worker.upkeep.audit import audit

PATIENCE_SECONDS = 150.0
MAX_IN_FLIGHT = 64
UNSETTLED = (State.READY, State.UPLOADING, State.WAITING)
# The last version has it in another place.
WEBHOOK = """
from roark_producer.settings import IngestSettings, WebhookSettings
try:
    from roark_producer.webhook.serving.server import run
except ModuleNotFoundError:
    from roark_producer.webhook.server import run
run(IngestSettings(), WebhookSettings())
"""
HERE = Path(__file__).parent


class Line:
    """Server, webhook, two workers, sandbox and senders."""

    def __init__(
        self,
        fault: str,
        *,
        seed: int,
        binary: Path | None = None,
        config: dict[str, str] | None = None,
        redis_url: str | None = None,
        partitions: int = 0,
        **environment: str,
    ) -> None:
        self.name = fault
        self.chance = random.Random(seed)
        self._folder = tempfile.TemporaryDirectory(prefix="chaos-")
        self.folder = Path(self._folder.name)
        self.processes: list[Process] = []
        self.workers: list[Process] = []
        self.in_flight = 0
        self.recovered_seconds = 0.0
        self.buried: set[str] = set()
        self.server: Server | None = None
        if redis_url is None:
            (self.folder / "redis").mkdir()
            self.server = Server(self.folder / "redis", binary=binary, **(config or {}))
            self.server.start()
            redis_url = self.server.url
        self.redis_url = redis_url
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": with_constants(str(HERE)),
            "PYTHONWARNINGS": "error",
            "ROARK_INGEST_REDIS_URL": redis_url,
            "ROARK_API_BEARER_TOKEN": TOKEN,
            "ROARK_INGEST_MAX_IN_FLIGHT": str(MAX_IN_FLIGHT),
            "ROARK_INGEST_AUDIT_MINUTES": "0.05",
            "ROARK_INGEST_WEBHOOK_PORT": str(free_port()),
            **QUICK,
            **environment,
        }
        self.ledger = open_ledger(redis_url, DEFAULT_PREFIX)
        if partitions:
            assert isinstance(self.ledger, PartedLedger)
            self.ledger.home.run(watch.keep_partitions(partitions))
        self.load: Load | None = None
        self.webhook: Process | None = None
        self.wanted: list[Sent] = []
        self.sandbox: Sandbox

    # --- what runs

    def start(
        self,
        *options: str,
        number: int = 600,
        per_second: float = 120,
        kilobytes: float = 3,
        workers: int = 2,
        source: str = "webhook",
    ) -> None:
        """Start everything and the load; return when reports are being delivered."""
        asked = ("-m", "roark_sandbox", "--port", "0", "--no-dedup", *(options or LATENCY))
        process = self.run("sandbox", *asked, PYTHONPATH=str(HERE))
        process.wait_for_line("listening on")
        self.sandbox = Sandbox(process.log.split("listening on ")[1].split()[0])
        self.environment["ROARK_BASE_URL"] = self.sandbox.url
        self.start_workers(workers)
        wanted = list(reports(self.chance, number, kilobytes=kilobytes))
        if source == "webhook":
            self.start_webhook()
            post: OverHttp | ByProducer = OverHttp(self.url)
        else:
            settings = IngestSettings(_env_file=None, redis_url=self.redis_url)
            post = ByProducer(Producer.from_settings(settings))
        self.wanted = wanted
        self.load = Load(wanted, post, per_second=per_second)
        if workers:
            self.until(lambda: self.delivered() >= number // 20, "the first reports are delivered")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.environment['ROARK_INGEST_WEBHOOK_PORT']}/vapi"

    @property
    def spool(self) -> Path:
        return self.folder / ".roark-ingest" / "spool"

    def run(self, name: str, *arguments: str, **environment: str) -> Process:
        merged = {name: value for name, value in {**self.environment, **environment}.items() if value}
        process = Process(f"{name}-{len(self.processes)}", arguments, merged, self.folder)
        self.processes.append(process)
        return process

    def start_webhook(self) -> Process:
        self.webhook = self.run("webhook", "-c", WEBHOOK)
        self.webhook.wait_for_line("webhook listening")
        return self.webhook

    def webhook_pids(self) -> list[int]:
        """The processes that take requests, and the one with the page."""
        assert self.webhook
        return children_of(self.webhook.pid)

    def kill_webhook(self) -> None:
        """End all of the webhook's processes by kill -9 at once."""
        assert self.webhook
        self.webhook.freeze()
        children = self.webhook_pids()
        for pid in children:
            kill(pid)
        self.webhook.kill()

    def start_worker(self, app: str = "roark_worker.app", **environment: str) -> Process:
        """Start a worker; it need not be ready yet."""
        arguments = [app if part == "roark_worker.app" else part for part in CELERY_WORKER]
        worker = self.run("worker", *arguments, "-n", f"worker-{len(self.processes)}@chaos", **environment)
        self.workers.append(worker)
        return worker

    def start_workers(self, number: int = 2, app: str = "roark_worker.app", **environment: str) -> list[Process]:
        started = [self.start_worker(app, **environment) for _ in range(number)]
        for worker in started:
            worker.wait_for_line("worker_started")
        return started

    # --- what is done to it

    def some_time(self, least: float, most: float) -> None:
        """Let the load run on for a random time."""
        deadline = time.monotonic() + self.chance.uniform(least, most)
        wait_until(lambda: time.monotonic() >= deadline, "some time is over")

    def kill(self, *victims: Process) -> None:
        """End workers by kill -9; what is in flight is counted while they stand still."""
        for victim in victims:
            victim.freeze()
        self.in_flight += self.snapshot().states[State.UPLOADING]
        for victim in victims:
            victim.kill()
            if victim in self.workers:
                self.workers.remove(victim)

    def kill_server(self) -> None:
        """End Redis by kill -9. Nobody can be asked what was in flight: all that the workers may hold."""
        assert self.server
        self.in_flight += MAX_IN_FLIGHT * len(self.workers)
        self.server.kill()

    @contextlib.contextmanager
    def fault(self) -> Iterator[None]:
        """Do harm in the block, and measure from its end until all that was in the pipe then is settled."""
        yield
        began = time.monotonic()
        in_the_pipe: set[bytes] = set()

        def seen() -> bool:
            in_the_pipe.update(self.unsettled_ids())
            return True

        self.until(lambda: _answers(seen), "Redis answers again")
        self.until(lambda: _answers(lambda: not in_the_pipe & self.unsettled_ids()), "what was in the pipe is settled")
        self.recovered_seconds = max(self.recovered_seconds, time.monotonic() - began)

    # --- what can be seen

    def snapshot(self) -> Snapshot:
        return self.ledger.run(watch.snapshot())

    def delivered(self) -> int:
        return self.snapshot().states[State.DELIVERED]

    def unsettled_ids(self) -> set[bytes]:
        found: set[bytes] = set()
        try:
            for part in self.ledger.parts:
                keys = part.calls.keys
                for key in (keys.fresh, keys.retry, keys.replay, keys.uploading, keys.waiting):
                    # At the home of partitions these are permits.
                    if key != keys.uploading or len(self.ledger.parts) == 1 or part is not self.ledger.parts[-1]:
                        found.update(part.client.zrange(key, 0, -1))
        except Exception as error:
            raise NotThere from error
        return found

    def until(self, condition: Any, what: str, seconds: float = PATIENCE_SECONDS) -> float:
        try:
            return wait_until(condition, what, seconds)
        except NeverCame as error:
            words = "\n".join(f"--- {process.name}\n{process.log[-2500:]}" for process in self.processes)
            raise NeverCame(f"{error}\n{self._state()}\n{words}") from None

    def _state(self) -> str:
        try:
            return str(self.snapshot())
        except LedgerError as error:
            return str(error)

    # --- the proof

    def settle(self) -> None:
        """Wait until every sender has its answer and nothing is left to be done."""
        load = self.load
        assert load
        self.until(lambda: load.is_over, "every sender has its yes")
        self.until(lambda: pending(self.spool).reports == 0, "the spool is empty")

        def settled() -> bool:
            states = self.snapshot().states
            return not any(states[state] for state in UNSETTLED)

        self.until(lambda: _answers(settled), "everything is settled")

    def prove(self, *, duplicates_at_most: int | None = None, in_the_table: bool = True) -> Row:
        """Wait for the end, and fail unless nothing was lost, changed or repeated beyond what was in flight."""
        self.settle()
        assert self.load
        answered = self.load.answered
        calls = self.sandbox.calls()
        arrived = {call_id: call for call_id, call in calls.items() if call["imported"]}
        lost = answered.keys() - arrived.keys() - self.buried
        changed = [
            call_id
            for call_id, sha in answered.items()
            if call_id in arrived and set(arrived[call_id]["sha256"]) != {sha}
        ]
        duplicated = sum(call["imported"] - 1 for call in arrived.values())
        allowed = self.in_flight if duplicates_at_most is None else duplicates_at_most
        row = Row(self.name, len(answered), len(lost), duplicated, allowed, self.recovered_seconds)
        if in_the_table:
            tables.note("faults", asdict(row))
        assert not lost, f"lost: {sorted(lost)[:20]}\n{self._state()}"
        assert not changed, f"changed: {changed[:20]}"
        assert arrived.keys() <= self.load.tried
        assert duplicated <= allowed
        snapshot = self.snapshot()
        assert snapshot.total("accepted") >= len(answered), "the ledger does not know of all that was answered with yes"
        assert not snapshot.losses, snapshot.losses
        assert not snapshot.unread, snapshot.unread
        assert snapshot.states[State.DEAD] == len(self.buried), snapshot
        assert snapshot.states[State.DELIVERED] >= len(answered) - len(self.buried)
        verdict = audit(self.ledger)
        assert verdict.holds, verdict
        assert verdict.counted is not None, "nothing moves any more"
        self.until(lambda: self.snapshot().audited, "a worker's audit has ended")
        assert "holds=False" not in "".join(process.log for process in self.processes), "an audit cried wolf"
        return row

    def replay_poison(self) -> None:
        """Send again what died in too many workers' hands: it waits where a person can see it."""
        self.settle()
        poison = [letter.call_id for letter in self.ledger.run(desk.page(most=1000)).letters]
        assert all(letter.record.note == "poison" for letter in self.ledger.run(desk.page(most=1000)).letters)
        if poison:
            replay_at_once(self.ledger, poison)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.load:
            self.load.stop()
        for process in self.processes:
            process.end()
        if hasattr(self, "sandbox"):
            self.sandbox.close()
        self.ledger.close()
        if self.server:
            self.server.stop()
        self._folder.cleanup()


LATENCY = ("--latency-ms", "60", "--jitter-ms", "60")


class NotThere(Exception):
    """Redis did not answer."""


def _answers(question: Any) -> bool:
    try:
        return bool(question())
    except (LedgerError, NotThere):
        return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port

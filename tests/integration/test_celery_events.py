"""Report events through a real broker: what Celery's own receiver makes of them; a broker that is away, or hangs."""

import contextlib
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from celery import Celery
from celery.events import state as seen
from delivering import Bench, reports
from pipeline import wait_until
from servers import Server

from roark_ledger.ids import CallId, LeaseToken
from roark_ledger.lifecycle import State
from roark_ledger.moves.delivery import Bury, Defer, Deliver, Held, Outcome
from roark_producer.celery_wiring import celery_settings
from roark_worker.flower.celery_events import CeleryEvents
from roark_worker.flower.event_sender import EventSender

WORKER = "worker-1@test"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def app(server: Server) -> Iterator[Celery]:
    app = Celery("test", set_as_current=False)
    app.conf.update(celery_settings(server.url))
    yield app
    app.close()


class Watcher:
    """Celery's own picture of what is told, as Flower has it."""

    def __init__(self, app: Celery) -> None:
        self.state: Any = seen.State()
        self._receiver: Any = None
        self._app = app
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(Exception), self._app.connection() as connection:
                self._receiver = self._app.events.Receiver(connection, handlers={"*": self.state.event})
                self._receiver.capture(limit=None, timeout=None, wakeup=False)
            self._stop.wait(0.1)

    def task(self, call_id: str) -> seen.Task | None:
        return next((task for task in self.state.tasks.values() if task.args == call_id), None)

    def close(self) -> None:
        self._stop.set()
        if self._receiver:
            self._receiver.should_stop = True
        self._thread.join()


def outcome(kind: str, call_id: str) -> Outcome:
    held = Held(CallId(call_id), LeaseToken(1))
    detail = msgspec.json.encode({"attempt": 1, "ms": 50, "status": 200 if kind == "deliver" else 503})
    match kind:
        case "deliver":
            return Deliver(held, "", detail)
        case "defer":
            return Defer(held, 1000, "http_503", detail)
        case _:
            return Bury(held, "http_503", detail)


def test_celery_sees_one_task_for_a_call_whatever_became_of_it(app: Celery, server: Server) -> None:
    watcher = Watcher(app)
    sender = EventSender(lambda: CeleryEvents(app, WORKER), successes_per_second=1000)
    try:
        wait_until(lambda: sent_and_seen(sender, watcher, "call-0"), "the watcher listens")

        sender.tell([outcome("defer", "call-1"), outcome("deliver", "call-2"), outcome("bury", "call-3")])
        sender.send_all()
        wait_until(lambda: watcher.task("call-3"), "the events")
        states = {call: task.state for call in ("call-1", "call-2", "call-3") if (task := watcher.task(call))}
        assert states == {"call-1": "RETRY", "call-2": "SUCCESS", "call-3": "FAILURE"}

        # and what came of it later is in the same place
        sender.tell([outcome("deliver", "call-1"), outcome("deliver", "call-3")])
        sender.send_all()
        wait_until(lambda: [task.state for task in watcher.state.tasks.values()] == ["SUCCESS"] * 4, "four successes")
        assert {task.worker.hostname for task in watcher.state.tasks.values()} == {WORKER}

        # and a broker that was away costs what was told meanwhile, and nothing after that
        server.stop()
        sender.tell([outcome("deliver", "call-4")])
        sender.send_all()
        assert sender.counted["dropped"] == 1
        server.start()
        wait_until(lambda: sent_and_seen(sender, watcher, "call-5"), "the watcher hears again")
        assert watcher.task("call-4") is None
    finally:
        watcher.close()


def sent_and_seen(sender: EventSender, watcher: Watcher, call_id: str) -> bool:
    sender.tell([outcome("deliver", call_id)])
    sender.send_all()
    return watcher.task(call_id) is not None


async def test_a_broker_that_hangs_holds_no_delivery_up(
    app: Celery, server: Server, valkey: Server, prefix: str
) -> None:
    sender = EventSender(lambda: CeleryEvents(app, WORKER), successes_per_second=10**6)
    sender.start()
    bench = Bench(valkey.url, prefix)
    bench.submit(reports(300))
    with frozen(server):
        # given that the events' own thread is already held up
        sender.tell([outcome("deliver", "call-before")])
        wait_until(lambda: not sender._waiting, "the first event is on its way")

        async with bench.delivery(handler=lambda _: httpx.Response(200, json={}), events=sender) as delivery:
            await bench.settle_all(delivery)

        # then all are delivered while nothing could be told
        assert bench.count(State.DELIVERED) == 300
        assert sender.counted["sent"] == 0

    # and what waited is told when the broker goes on
    wait_until(lambda: sender.counted["sent"] + sender.counted["dropped"] == 301, "all events have gone")
    sender.stop()
    bench.close()


@contextlib.contextmanager
def frozen(server: Server) -> Iterator[None]:
    process: subprocess.Popen[bytes] = server._process._process
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)

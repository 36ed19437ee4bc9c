"""The webhook is killed, ended and annoyed."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos_line import Line
from pipeline import kill

from roark_producer.disk.segments import pending


def test_a_webhook_dies_while_it_writes_its_spool() -> None:
    with Line("Valkey away, kill -9 of the spooling webhook", seed=41) as line:
        line.start(number=500)
        assert line.server
        assert line.webhook
        line.kill_server()
        line.until(lambda: pending(line.spool).reports > 40, "reports are spooled")
        line.some_time(0, 0.5)
        with line.fault():
            line.kill_webhook()
            line.start_webhook()
            line.server.start()
        line.prove()


@pytest.mark.chaos
def test_a_webhook_is_killed_under_load_again_and_again() -> None:
    with Line("kill -9 of the webhook, four times", seed=42) as line:
        line.start(number=900)
        for _ in range(4):
            line.some_time(0.2, 1)
            assert line.webhook
            with line.fault():
                line.kill_webhook()
                line.start_webhook()
        line.prove(duplicates_at_most=0)


@pytest.mark.chaos
def test_each_process_of_a_webhook_is_killed_under_load() -> None:
    with Line("kill -9 of each of three webhook processes, twice", seed=47, ROARK_INGEST_WEBHOOK_PROCESSES="3") as line:
        line.start(number=900)
        for _ in range(2):
            for place in range(3):
                line.some_time(0.2, 0.6)
                with line.fault():
                    kill(line.webhook_pids()[place])
        line.prove(duplicates_at_most=0)


@pytest.mark.chaos
def test_the_supervisor_of_a_webhook_is_killed_under_load() -> None:
    with Line("kill -9 of the webhook's supervisor, three times", seed=48) as line:
        line.start(number=900)
        for _ in range(3):
            line.some_time(0.2, 1)
            assert line.webhook
            with line.fault():
                pids = line.webhook_pids()
                line.webhook.kill()
                # Its processes answer what is under way, and end.
                line.until(lambda pids=pids: not any(Path(f"/proc/{pid}").exists() for pid in pids), "they have ended")
                line.start_webhook()
        line.prove(duplicates_at_most=0)


@pytest.mark.chaos
def test_processes_that_spool_are_killed_one_after_the_other() -> None:
    with Line("Valkey away, kill -9 of each spooling webhook process", seed=49) as line:
        line.start(number=900)
        assert line.server
        line.kill_server()
        for round_ in range(4):
            enough = 60 * (round_ + 1)
            line.until(lambda enough=enough: pending(line.spool).reports > enough, "reports are spooled")
            line.some_time(0, 0.3)
            kill(line.webhook_pids()[round_ % 2])
        with line.fault():
            line.server.start()
            line.some_time(0.1, 0.5)
            kill(line.webhook_pids()[0])
        line.prove()


@pytest.mark.chaos
def test_a_webhook_is_replaced_under_load() -> None:
    with Line("SIGTERM and restart of the webhook, three times", seed=43) as line:
        line.start(number=900)
        for _ in range(3):
            line.some_time(0.2, 1)
            assert line.webhook
            with line.fault():
                line.webhook.terminate()
                assert line.webhook.exit_code() == 0
                line.start_webhook()
        line.prove(duplicates_at_most=0)


@pytest.mark.chaos
def test_the_spool_survives_many_deaths_of_its_webhook() -> None:
    with Line("Valkey away, kill -9 of the spooling webhook, four times", seed=44) as line:
        line.start(number=900)
        assert line.server
        line.kill_server()
        for round_ in range(4):
            assert line.webhook
            enough = 60 * (round_ + 1)
            line.until(lambda enough=enough: pending(line.spool).reports > enough, "reports are spooled")
            line.some_time(0, 0.3)
            line.kill_webhook()
            line.start_webhook()
        with line.fault():
            line.server.start()
        line.prove()


@contextlib.contextmanager
def nuisances(url: str, number: int) -> Iterator[None]:
    """Connections that send half a request and hang up, or a byte now and then, as long as the block lasts."""
    host, _, port = url.removeprefix("http://").partition("/")[0].partition(":")
    over = threading.Event()

    def annoy(each: int) -> None:
        while not over.is_set():
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=5) as connection:
                head = b"POST /vapi HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n"
                if each % 2:
                    connection.sendall(head + b'\r\n{"message": {"type": "end-of-call-rep')
                    over.wait(0.05)
                    # A reset, not an orderly end.
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                else:
                    for byte in head:
                        connection.sendall(bytes([byte]))
                        if over.wait(0.1):
                            break

    threads = [threading.Thread(target=annoy, args=(each,)) for each in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.chaos
def test_half_requests_and_slow_senders_do_not_keep_out_the_others() -> None:
    with Line("half-written requests and slow-loris during the load", seed=45) as line:
        line.start(number=700)
        with line.fault(), nuisances(line.url, 100):
            line.some_time(5, 6)
        line.prove(duplicates_at_most=0)


@pytest.mark.chaos
def test_a_webhook_that_stands_still_is_no_worse_than_a_slow_one() -> None:
    with Line("SIGSTOP of the webhook for 5 s", seed=46) as line:
        line.start(number=700)
        assert line.webhook
        line.some_time(0.2, 1)
        with line.fault():
            pids = line.webhook_pids()
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            line.some_time(5, 5)
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        line.prove(duplicates_at_most=0)

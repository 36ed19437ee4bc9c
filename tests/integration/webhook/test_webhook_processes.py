"""Several processes of one webhook: one port, one spool, one page; whichever of them is killed, nothing is lost."""

import contextlib
import http.client
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pipeline import children_of, free_port
from test_webhook_bodies import payload_of
from webhook_process import SECRET, Valkey, Webhook, eventually, launched, report, start, states

from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.server.connection import connect
from roark_producer.disk.segments import pending

PROCESSES = 3
ACCEPTED = 'roark_ingest_webhook_requests_total{result="accepted"}'


@pytest.fixture
def several(own_valkey: Valkey, tmp_path: Path) -> Iterator[Webhook]:
    own_valkey.start()
    with start(tmp_path, own_valkey.url, spool="true", webhook_processes=PROCESSES) as running:
        yield running


def serving(webhook: Webhook) -> list[int]:
    """The processes that take requests: each has the listening socket that it was given."""
    started = [line for line in webhook.logged().splitlines() if " webhook_starting " in line]
    latest = {line.split(" webhook=")[1].split()[0]: int(line.split(" pid=")[1]) for line in started}
    return [latest[number] for number in sorted(latest)]


def post(url: str, call_id: str, **more: str) -> int:
    """Post over a connection of its own, which the kernel deals to one of the processes."""
    parts = httpx.URL(url)
    with contextlib.closing(http.client.HTTPConnection(parts.host, parts.port, timeout=30)) as connection:
        connection.request("POST", parts.path, report(call_id, **more), {"X-Vapi-Secret": SECRET})
        return connection.getresponse().status


def test_they_share_a_port_and_a_page_and_one_that_is_killed_comes_back(several: Webhook, own_valkey: Valkey) -> None:
    # when many connections are made
    assert [post(several.url, f"call-{number}") for number in range(40)] == [200] * 40

    # then the page has the sum, and says how many processes there are
    assert several.metric(ACCEPTED) == 40
    assert several.metric("roark_ingest_webhook_processes") == PROCESSES
    assert several.metric("roark_ingest_webhook_processes_wanted") == PROCESSES
    # and more than one process has connections
    assert len(children_of(several.process.pid)) == PROCESSES + 1
    # and the public port shows nothing of it
    assert several.get("/metrics").status_code == 404
    # and another webhook on this port is refused, also one with several processes
    folder = several.log.parent / "other"
    folder.mkdir()
    other = launched(folder, own_valkey.url, webhook_port=several.address[1], webhook_processes=2)
    with other:
        assert other.wait(30) != 0
    assert "Address already in use" in (folder / "webhook.log").read_text()

    # given that each of them is killed in turn
    victims = serving(several)
    for number, victim in enumerate(victims):
        assert post(several.url, f"before-{number}") == 200
        os.kill(victim, signal.SIGKILL)
        eventually(lambda victim=victim: victim not in serving(several))
        # then a connection that was dealt to the dead one waits for its successor
        assert [post(several.url, f"after-{number}-{each}") for each in range(8)] == [200] * 8
    # and what the dead ones had counted stays
    assert several.metric(ACCEPTED) == 40 + 9 * len(victims)
    eventually(lambda: several.metric("roark_ingest_webhook_processes") == PROCESSES)
    # and all end when they are told
    children = children_of(several.process.pid)
    assert several.end() == 0
    assert not any(Path(f"/proc/{each}").exists() for each in children)


def test_what_comes_from_the_first_moment_on_does_not_go_to_the_spool(own_valkey: Valkey, tmp_path: Path) -> None:
    own_valkey.start()
    port = free_port()
    url, answers = f"http://127.0.0.1:{port}/vapi", []

    def post_at_once(number: int) -> None:
        with contextlib.suppress(OSError):
            answers.append(post(url, f"call-{number}"))

    with launched(tmp_path, own_valkey.url, spool="true", webhook_port=port, webhook_processes=2) as webhook:
        number = 0
        while len(answers) < 8:
            assert webhook.poll() is None
            number += 1
            post_at_once(number)
        webhook.terminate()

    assert set(answers) == {200}
    assert " spooling " not in (tmp_path / "webhook.log").read_text()


def test_when_the_supervisor_is_killed_the_others_answer_what_is_under_way_and_end(
    several: Webhook, own_valkey: Valkey
) -> None:
    children = children_of(several.process.pid)
    with own_valkey.frozen():
        answers: list[int] = []
        sending = [threading.Thread(target=lambda n=n: answers.append(post(several.url, f"c-{n}"))) for n in range(6)]
        for each in sending:
            each.start()
        eventually(lambda: len(connections_of(several)) >= 6)
        # when
        several.process.kill()
        several.process.wait()
    for each in sending:
        each.join()
    # then
    assert answers == [200] * 6
    eventually(lambda: not any(Path(f"/proc/{each}").exists() for each in children))
    with connect(own_valkey.url) as client:
        ledger = Ledger(client)
        folder = several.log.parent / ".roark-ingest" / "spool"
        assert states(ledger)[State.READY] + pending(folder).reports == 6


def connections_of(webhook: Webhook) -> list[str]:
    port = f":{webhook.address[1]:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return [line for line in lines if line.split()[1].endswith(port) and line.split()[3] == "01"]


def test_a_calls_newer_report_stays_the_newer_one_whichever_process_spools_it(
    several: Webhook, own_valkey: Valkey
) -> None:
    calls = 25
    own_valkey.stop()
    # given that the older reports are spooled, by all of the processes
    for call in range(calls):
        assert post(several.url, f"call-{call}", endedReason="older") == 200
    writers = {path.name.split("-")[1] for path in (several.log.parent / ".roark-ingest" / "spool").glob("*.spool")}
    assert len(writers) > 1
    # and one of them is killed, and Redis is back
    os.kill(serving(several)[0], signal.SIGKILL)
    own_valkey.start()
    # when the newer ones come at once
    for call in range(calls):
        assert post(several.url, f"call-{call}", endedReason="newer") == 200
    # then nothing is lost, and the newer one is what will be uploaded
    folder = several.log.parent / ".roark-ingest" / "spool"
    eventually(lambda: pending(folder).reports == 0, 20)
    with connect(own_valkey.url) as client:
        ledger = Ledger(client)
        eventually(lambda: states(ledger)[State.READY] == calls)
        for call in range(calls):
            assert b"newer" in payload_of(ledger, f"call-{call}"), call
    # and from then on reports go to the ledger
    eventually(lambda: post(several.url, "later") == 200 and several.metric(ACCEPTED) > 0)

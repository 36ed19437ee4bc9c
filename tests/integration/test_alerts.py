"""Alerts to a real HTTP server: from several processes one message each, sent again rather than lost, nobody waits."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from channel import Channel
from commands import PHONE, TRANSCRIPT, CommandLine
from constants import with_constants
from delivering import worker_settings
from pipeline import wait_until
from servers import Server, running

from roark_ledger.ledger import Ledger
from roark_ledger.moves import intake, watch
from roark_ledger.partitions.ledger import PartedLedger
from roark_ledger.partitions.placing import prefixes
from roark_ledger.records.alerts import Message
from roark_ledger.server.connection import connect
from roark_worker.alerts.alerting import Alerter
from roark_worker.alerts.post import AlertNotTaken, body, post


@pytest.fixture
def channel() -> Iterator[Channel]:
    made = Channel()
    yield made
    made.close()


@pytest.fixture
def line(valkey: Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    monkeypatch.chdir(tmp_path)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "ROARK_INGEST_ALERT_URL"):
        monkeypatch.delenv(name, raising=False)
    made = CommandLine(valkey.url, prefix, tmp_path)
    yield made
    made.ledger.close()


def alerter(line: CommandLine, url: str | None, **options: Any) -> Alerter:
    settings = worker_settings(alert_url=url, alert_look_seconds=0.05, alert_calm_seconds=0.2)
    return Alerter(line.ledger, settings, line.folder, **options)


# A worker process's alerts. With "hang" it dies between deciding to send and sending.
PROCESS = """
import sys, threading
from roark_ledger.server.connection import connect
from roark_ledger.ledger import Ledger
from pathlib import Path
from roark_worker.alerts import alerting
from roark_worker.settings import WorkerSettings

def hang(url, turn):
    print("decided", turn.kind.value, flush=True)
    threading.Event().wait()

redis_url, prefix, how = sys.argv[1:]
send = hang if how == "hang" else alerting.send
ledger = Ledger(connect(redis_url), prefix=prefix)
found = alerting.Alerter(ledger, WorkerSettings(), Path(), send=send, lease_seconds=1.5)
found.start()
print("started", flush=True)
threading.Event().wait()
"""


@contextmanager
def process(line: CommandLine, channel: Channel, how: str = "send") -> Iterator["subprocess.Popen[str]"]:
    environment = os.environ | {
        "PYTHONPATH": with_constants(),
        "ROARK_INGEST_ALERT_URL": channel.url,
        "ROARK_INGEST_ALERT_LOOK_SECONDS": "0.05",
        "ROARK_INGEST_ALERT_CALM_SECONDS": "0.3",
    }
    arguments = [line.environment["ROARK_INGEST_REDIS_URL"], line.environment["ROARK_INGEST_PREFIX"], how]
    started = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROCESS), *arguments],
        env=environment,
        cwd=line.folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert started.stdout
        assert started.stdout.readline() == "started\n"
        yield started
    finally:
        started.kill()
        started.communicate()


def test_a_partition_that_is_away_for_long_is_told_and_a_fail_over_is_not(
    line: CommandLine, channel: Channel, valkey: Server
) -> None:
    prefix = line.environment["ROARK_INGEST_PREFIX"]
    away, _ = prefixes(prefix, 2)
    line.ledger.run(watch.keep_partitions(2))

    def part(name: str) -> Ledger:
        return Ledger(connect("redis://127.0.0.1:9" if name == away else valkey.url), prefix=name)

    settings = worker_settings(alert_url=channel.url, alert_calm_seconds=0.2)
    parted = PartedLedger(Ledger(connect(valkey.url), prefix=prefix), part)
    patient = Alerter(parted, settings, line.folder)
    assert (patient.once(), patient.once()) == (0, 0)

    Alerter(parted, settings, line.folder, away_seconds=0).once()
    (message,) = channel.texts("Partition 0 of 2 is away")
    assert "roark-ingest doctor" in message
    parted.close()


def test_two_worker_processes_send_one_message_and_one_recovery(line: CommandLine, channel: Channel) -> None:
    with process(line, channel), process(line, channel):
        line.bury_all("c-1")
        wait_until(lambda: channel.got, "the alert is sent")
        line.run("hold", "--as", "ada", "--reason", "the night")
        wait_until(lambda: len(channel.got) == 2, "the other alert is sent")
        looks(line, 20)
        line.run("resume")
        wait_until(lambda: channel.texts("RECOVERED"), "the recovery is sent")
        looks(line, 20)

    assert len(channel.got) == channel.requests == 3
    (held,) = channel.texts("ALERT roark-ingest lane_held")
    assert "ada paused uploads: the night" in held
    assert "Next: `roark-ingest resume`" in held
    (letters,) = channel.texts("ALERT roark-ingest dead_letters:")
    assert "Roark refused the report" in letters
    assert "roark-ingest dlq groups" in letters


def looks(line: CommandLine, number: int) -> None:
    """Wait until the workers have looked so many times."""
    ran = str(line.ledger.client.info("commandstats")["cmdstat_evalsha"]["calls"])
    wanted = int(ran) + 3 * number
    wait_until(
        lambda: line.ledger.client.info("commandstats")["cmdstat_evalsha"]["calls"] >= wanted, "the workers look again"
    )


def test_a_worker_that_is_killed_between_deciding_and_sending_loses_no_message(
    line: CommandLine, channel: Channel
) -> None:
    with process(line, channel, "hang") as doomed:
        line.bury_all("c-1")
        assert doomed.stdout
        assert doomed.stdout.readline() == "decided dead_letters\n"
        doomed.send_signal(signal.SIGKILL)
        doomed.wait()
    assert channel.got == []

    with process(line, channel), process(line, channel):
        wait_until(lambda: channel.got, "another worker sends it")
        looks(line, 20)

    assert len(channel.got) == 1


def test_a_webhook_that_fails_gets_the_message_again_until_it_takes_it(line: CommandLine, channel: Channel) -> None:
    channel.answers = [503, 429, 500, 503]
    line.bury_all("c-1")

    with process(line, channel):
        wait_until(lambda: channel.got, "the message is taken")

    assert channel.requests == 5
    assert len(channel.got) == 1


def test_a_webhook_that_is_away_is_told_in_the_log_without_its_address(
    line: CommandLine, channel: Channel, caplog: pytest.LogCaptureFixture
) -> None:
    line.bury_all("c-1")
    channel.answers = [404]

    assert alerter(line, channel.url).once() == 0

    (told,) = [record.__dict__["fields"] for record in caplog.records if record.getMessage() == "alert_not_sent"]
    assert told == {"kind": "dead_letters", "error": "the alert webhook answered 404"}
    assert "secret-part" not in caplog.text


def test_no_address_means_that_it_is_noted_and_shown_only(line: CommandLine) -> None:
    line.bury_all("c-1")

    assert alerter(line, None).once() == 0

    (alert,) = line.run("alerts", "list", "--json").documents
    assert (alert["kind"], alert["active"], alert["to_be_sent"], alert["tries"]) == ("dead_letters", True, "raised", 0)
    assert line.run("status", "--json").document["alerts"] == ["dead_letters"]


def test_no_message_holds_anything_about_a_person(line: CommandLine, channel: Channel) -> None:
    line.bury_all("c-1", message=f"{PHONE} said {TRANSCRIPT}")
    line.run("hold", "--as", f"ada {PHONE}", "--reason", f"Bearer abc because of {PHONE}")
    line.ledger.run(intake.note_spool("host-1:/data/spool", waiting_bytes=1_000))

    assert alerter(line, channel.url).once() == 3

    everything = json.dumps(channel.got) + line.run("alerts", "list").stdout
    for secret in (PHONE, TRANSCRIPT, "abc", "c-1", "secret-part"):
        assert secret not in everything
    assert "host-1" in everything


def test_the_message_is_what_slack_takes() -> None:
    found = body("lane_held", "raised", Message("a < b & c.", "Why.", "roark-ingest resume"))

    assert found["text"] == "ALERT roark-ingest lane_held: a &lt; b &amp; c.\nWhy.\nNext: `roark-ingest resume`"
    assert [block["type"] for block in found["blocks"]] == ["section"] * 3
    assert {block["text"]["type"] for block in found["blocks"]} == {"mrkdwn"}


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "http://[::1", "nonsense"])
def test_an_address_that_cannot_be_reached_is_one_error_that_does_not_tell_it(url: str) -> None:
    with pytest.raises(AlertNotTaken) as raised:
        post(url, {}, tries=2, first_wait=0.01)

    assert url not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_test_message_is_sent_or_it_is_said_why_not(line: CommandLine, channel: Channel) -> None:
    assert line.run("alerts", "test").exit_code == 1
    secret = line.folder / "url"
    secret.write_text(channel.url)

    assert line.run("alerts", "test", "--json", ROARK_INGEST_ALERT_URL_FILE=str(secret)).document == {"sent": True}
    assert "TEST roark-ingest" in channel.got[0]["text"]

    channel.answers = [403]
    refused = line.run("alerts", "test", ROARK_INGEST_ALERT_URL=channel.url)
    assert (refused.exit_code, "answered 403" in refused.stderr) == (1, True)
    assert channel.url not in refused.stderr


def test_a_webhook_that_never_answers_holds_up_no_stop(line: CommandLine, channel: Channel) -> None:
    line.bury_all("c-1")
    reached = threading.Event()

    def never(*_: object) -> None:
        reached.set()
        threading.Event().wait(30)

    found = alerter(line, channel.url, send=never)
    found.start()
    assert reached.wait(30)
    stopped: Callable[[], None] = found.stop
    ended = threading.Thread(target=stopped)
    ended.start()
    ended.join(10)

    assert not ended.is_alive()


def test_that_redis_takes_nothing_is_told_past_it_by_one_worker_and_that_it_does_again(
    channel: Channel, tmp_path: Path
) -> None:
    settings = worker_settings(alert_url=channel.url, alert_look_seconds=0.05, alert_calm_seconds=0.2)
    with running() as server, connect(server.url) as client:
        workers = [Alerter(Ledger(client), settings, tmp_path, away_seconds=0.3) for _ in range(2)]
        try:
            for each in workers:
                each.start()
            client.execute_command("ACL", "SETUSER", "default", "-evalsha")
            wait_until(lambda: channel.got, "the alert is sent")
            client.execute_command("ACL", "SETUSER", "default", "+evalsha")
            wait_until(lambda: channel.texts("RECOVERED"), "the recovery is sent")
        finally:
            for each in workers:
                each.stop()
    raised, over = channel.texts()
    assert raised.startswith("ALERT roark-ingest ledger_away: Redis takes no reports.")
    assert "NOPERM" in raised
    assert "Next: `roark-ingest doctor`" in raised
    assert over.startswith("RECOVERED roark-ingest ledger_away: this is over")

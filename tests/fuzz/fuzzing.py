"""Feeds bodies to the report parser and to a webhook process, and says what came of it.

Nothing but `InvalidReport` may come out of the parser, and no 5xx out of the webhook; neither may grow.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from threading import Lock

import httpx
from mutations import bodies
from servers import Server

from roark_ledger.errors import InvalidReport
from roark_ledger.moves.intake import Acceptable
from roark_ledger.packing import unpack
from roark_producer.files.unpacking import is_packed, unpacked
from roark_producer.settings import IngestSettings
from roark_producer.taking import Intake
from roark_producer.vapi.report import OtherMessage

_SENDERS = 4
_SERVE = (
    "from roark_producer.settings import IngestSettings, WebhookSettings;"
    "from roark_producer.webhook.serving.server import run;"
    "run(IngestSettings(), WebhookSettings())"
)
_TYPES = (
    "application/json",
    "text/plain",
    "application/json; charset=utf-16",
    "multipart/form-data",
    "",
    "\x7f",
    "a" * 500,
)


@dataclass
class Outcome:
    """What came of so many bodies. Memory in MB: after a fifth of them, and at the end."""

    number: int
    results: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    memory_early: float = 0.0
    memory_late: float = 0.0

    def __str__(self) -> str:
        results = ", ".join(f"{count} {name}" for name, count in self.results.most_common())
        return (
            f"{self.number} bodies in {self.seconds:.0f} s: {results}; "
            f"memory {self.memory_early:.0f} MB after a fifth, {self.memory_late:.0f} MB at the end"
        )


def fuzz_parser(number: int, *, seed: int) -> Outcome:
    """Feed the parser; raises whatever else than InvalidReport comes out of it."""
    intake = Intake(IngestSettings(_env_file=None, properties_from_report={"tenant": "call.metadata.tenant"}))
    outcome = Outcome(number)
    began = time.monotonic()
    for place, body in enumerate(islice(bodies(random.Random(seed)), number)):
        try:
            match intake.prepare(body, query={"tenant": "a"}):
                case Acceptable() as report:
                    sent = unpacked(body, most_bytes=len(body) * 100) if is_packed(body) else body
                    assert unpack(report.packed).payload in sent, "the payload is the sender's own bytes"
                    outcome.results["report"] += 1
                case OtherMessage():
                    outcome.results["other message"] += 1
        except InvalidReport:
            outcome.results["refused"] += 1
        except BaseException:
            sys.stderr.write(f"body number {place} of seed {seed}: {body[:300]!r}\n")
            raise
        if place == number // 5:
            outcome.memory_early = memory_mb(os.getpid())
    outcome.seconds = time.monotonic() - began
    outcome.memory_late = memory_mb(os.getpid())
    return outcome


def fuzz_webhook(number: int, *, seed: int) -> Outcome:
    """Feed a webhook process over HTTP."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        (folder / "redis").mkdir()
        server = Server(folder / "redis", appendonly="no")
        server.start()
        try:
            with (folder / "log").open("wb") as log:
                webhook = _started(folder, server.url, log.fileno())
            try:
                return _fed(webhook, number, seed)
            finally:
                webhook.terminate()
                webhook.wait()
                assert webhook.stdout is not None
                webhook.stdout.close()
                told = (folder / "log").read_text(encoding="utf-8", errors="replace")
                assert "Traceback" not in told, told[-3000:]
                assert "request_failed" not in told, told[-3000:]
        finally:
            server.stop()


def _started(folder: Path, url: str, log: int) -> "subprocess.Popen[str]":
    environment = {
        "PATH": os.environ["PATH"],
        "ROARK_INGEST_REDIS_URL": url,
        "ROARK_INGEST_DURABILITY": "memory",
        "ROARK_INGEST_WEBHOOK_PORT": "0",
        "ROARK_INGEST_REJECTED_MAX_BYTES": "1000000",
        "ROARK_INGEST_LOG_LEVEL": "error",
        "ROARK_INGEST_PROPERTIES_FROM_REPORT": '{"tenant": "call.metadata.tenant"}',
    }
    return subprocess.Popen(
        [sys.executable, "-c", _SERVE], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
    )


def _fed(webhook: "subprocess.Popen[str]", number: int, seed: int) -> Outcome:
    assert webhook.stdout is not None
    url = webhook.stdout.readline().split()[-1]
    outcome = Outcome(number)
    lock = Lock()
    began = time.monotonic()

    def feed(sender: int) -> None:
        chance = random.Random(seed * 1000 + sender)
        with httpx.Client(timeout=60, trust_env=False) as client:
            for body in islice(bodies(chance), number // _SENDERS):
                headers = {"content-type": chance.choice(_TYPES)}
                if chance.random() < 0.02:
                    headers["content-encoding"] = chance.choice(("gzip", "br", "identity", "x"))
                answer = client.post(url, content=body, headers=headers)
                with lock:
                    outcome.results[str(answer.status_code)] += 1
                    if outcome.results.total() == number // 5:
                        outcome.memory_early = memory_mb(webhook.pid)
                assert answer.status_code < 500, (answer.status_code, answer.text, body[:300])

    with ThreadPoolExecutor(_SENDERS) as pool:
        for fed in [pool.submit(feed, sender) for sender in range(_SENDERS)]:
            fed.result()
    outcome.seconds = time.monotonic() - began
    outcome.memory_late = memory_mb(webhook.pid)
    assert webhook.poll() is None, "the webhook lives"
    return outcome


def memory_mb(pid: int) -> float:
    """Return what a process has in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

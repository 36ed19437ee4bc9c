"""The command line in a test's own process, on one ledger of a real server, with what workers would have done.

line = CommandLine(server.url, prefix, folder)
line.accept("call-1")
line.bury("call-1", status=422)
assert line.run("dlq", "show", "call-1").exit_code == 0
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from replaying import replay_at_once
from typer.testing import CliRunner

from roark_ledger.ledger import Ledger
from roark_ledger.moves import delivery, intake, watch
from roark_ledger.moves import replay as replay_jobs
from roark_ledger.moves.delivery import Bury, Defer, Deliver, Held
from roark_ledger.moves.intake import Acceptable
from roark_ledger.packing import pack
from roark_ledger.records.record import Entry
from roark_ledger.records.snapshot import Snapshot
from roark_ledger.server.connection import connect
from roark_ops.cli.app import app
from roark_producer.vapi.report import Report, read_message

LEASE_MS = 60_000
PLENTY = 10**9
PHONE = "+15550101234"
TRANSCRIPT = "my card number is four two"


def report(call_id: str, **more: Any) -> bytes:
    """A bare report with a phone number and a transcript that nobody should see."""
    call = {"id": call_id, "customer": {"number": PHONE}}
    return json.dumps({"type": "end-of-call-report", "call": call, "transcript": TRANSCRIPT} | more).encode()


@dataclass(frozen=True)
class Ended:
    """A command that is over."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def documents(self) -> list[Any]:
        """What it printed with --json, a document a line."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def document(self) -> Any:
        """The one document that it printed."""
        (found,) = self.documents
        return found


class CommandLine:
    """Runs `roark-ingest` against one ledger."""

    def __init__(self, url: str, prefix: str, folder: Path) -> None:
        self.folder = folder
        self.ledger = Ledger(connect(url), prefix=prefix)
        self.environment = {
            "ROARK_INGEST_REDIS_URL": url,
            "ROARK_INGEST_PREFIX": prefix,
            "ROARK_INGEST_DATA_DIR": str(folder / "data"),
            "ROARK_INGEST_METRICS_PORT": "0",
        }

    def run(self, *arguments: str, stdin: bytes = b"", **environment: str) -> Ended:
        """Run one command in this process."""
        result = CliRunner().invoke(app, list(arguments), input=stdin, env=self.environment | environment)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    def process(self, *arguments: str, **options: Any) -> "subprocess.Popen[bytes]":
        """Start one command as a process of its own."""
        environment: Mapping[str, str] = os.environ | self.environment | options.pop("env", {})
        command = [sys.executable, "-m", "roark_ops.cli", *arguments]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        return subprocess.Popen(command, env=environment, cwd=self.folder, **pipes)

    def accept(self, *call_ids: str, properties: bytes = b"", **more: Any) -> None:
        """Have reports accepted."""
        prepared = []
        for call_id in call_ids:
            message = read_message(report(call_id, **more))
            assert isinstance(message, Report)
            packed = pack(message.payload, properties)
            prepared.append(Acceptable(message.call_id, message.fingerprint, packed, message.expires_ms))
        self.ledger.run(intake.accept(prepared, revisions="record", per_wakeup=64))

    def claim(self, call_id: str) -> Held:
        """Take the next ready report under a lease, which must be this call's."""
        (one,) = self.ledger.run(delivery.claim(wanted=1, lease_ms=LEASE_MS, listen_ms=0, most_bytes=PLENTY)).reports
        assert one.call_id == call_id
        return Held(one.call_id, one.token)

    def deliver(self, call_id: str, roark_call_id: str = "roark-1") -> None:
        """Have the next ready report delivered."""
        outcome = Deliver(self.claim(call_id), roark_call_id, _detail(status=200))
        assert self.ledger.run(delivery.deliver([outcome], keep_payloads=False)) == [True]

    def defer(self, call_id: str, *, delay_ms: int = 60_000, **detail: Any) -> None:
        """Have an attempt fail for a passing reason."""
        reason = str(detail.get("reason", "http_503"))
        outcome = Defer(self.claim(call_id), delay_ms, reason, _detail(**{"status": 503, "reason": reason} | detail))
        assert self.ledger.run(delivery.defer([outcome])) == [True]

    def bury(self, call_id: str, code: str = "", **detail: Any) -> None:
        """Have the next ready report refused for good."""
        reason = str(detail.get("reason", "http_422"))
        held = self.claim(call_id)
        outcome = Bury(held, code or reason, _detail(**{"status": 422, "reason": reason} | detail))
        assert self.ledger.run(delivery.bury([outcome])) == [True]

    def bury_all(self, *call_ids: str, **detail: Any) -> None:
        """Accept reports and have them refused, in this order."""
        for call_id in call_ids:
            self.accept(call_id)
            self.bury(call_id, **detail)

    def replay(self, *call_ids: str) -> None:
        """Have dead letters sent again at once."""
        replayed = replay_at_once(self.ledger, call_ids)
        assert replayed == ["replayed"] * len(call_ids)

    def tick(self) -> int:
        """Have replay jobs taken a step further, as a worker does each second; return how many letters were sent."""
        step = replay_jobs.step(most=100, queue_most=500, patience_ms=60_000, silence_ms=60_000, keep_ms=0)
        return self.ledger.run(step).sent

    def snapshot(self) -> Snapshot:
        return self.ledger.run(watch.snapshot())

    def entry(self, call_id: str) -> Entry:
        found = self.ledger.run(watch.look(call_id))
        assert found
        return found

    def state(self, call_id: str) -> str:
        record = self.entry(call_id).record
        return record.state.value if record else "erased"


def _detail(**facts: Any) -> bytes:
    return msgspec.json.encode({"attempt": 1, "ms": 41} | facts)

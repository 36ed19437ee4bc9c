"""The examples of ops/docs/integrate.md, run as they stand. FastAPI's and Django's are run by `make installs`."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import Server

from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import watch
from roark_ledger.server.connection import connect

EXAMPLES = Path(__file__).parents[2] / "ops" / "docs" / "examples"
PAGE = EXAMPLES.parent / "integrate.md"


def report(call_id: str) -> str:
    return json.dumps({"message": {"type": "end-of-call-report", "call": {"id": call_id}}})


@pytest.fixture
def environment(valkey: Server, prefix: str) -> dict[str, str]:
    return dict(os.environ) | {"ROARK_INGEST_REDIS_URL": valkey.url, "ROARK_INGEST_PREFIX": prefix}


@pytest.fixture
def ledger(valkey: Server, prefix: str) -> Iterator[Ledger]:
    with connect(valkey.url) as client:
        yield Ledger(client, prefix=prefix)


def ran(*command: object, env: dict[str, str], stdin: str = "") -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, *map(str, command)]
    return subprocess.run(words, env=env, input=stdin, capture_output=True, text=True, check=False, timeout=60)


def test_the_script(environment: dict[str, str], ledger: Ledger, tmp_path: Path) -> None:
    for number in range(70):
        (tmp_path / f"{number}.json").write_text(report(f"call-{number}"))
    (tmp_path / "bad.json").write_text("nonsense")

    ended = ran(EXAMPLES / "script.py", tmp_path, env=environment)

    assert (ended.returncode, ended.stdout) == (0, "70 accepted, 1 rejected\n")
    assert "rejected: body: is not valid JSON" in ended.stderr
    assert ledger.run(watch.snapshot()).states[State.READY] == 70
    away = ran(EXAMPLES / "script.py", tmp_path, env=environment | {"ROARK_INGEST_REDIS_URL": "redis://127.0.0.1:9"})
    assert (away.returncode, "Traceback" in away.stderr, "Run this again" in away.stderr) == (1, False, True)


def test_the_consumer_on_asyncio(environment: dict[str, str], ledger: Ledger) -> None:
    lines = "".join(f"{report(f'call-{number % 50}')}\n" for number in range(80))

    ended = ran(EXAMPLES / "asyncio_consumer.py", env=environment, stdin=lines)

    receipts = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [each["call_id"] for each in receipts] == [f"call-{number % 50}" for number in range(80)]
    assert ledger.run(watch.snapshot()).states[State.READY] == 50


def test_the_short_process(environment: dict[str, str], ledger: Ledger) -> None:
    program = f"""
import json, sys
sys.path.insert(0, {str(EXAMPLES)!r})
from lambda_handler import handler
for _ in range(2):
    print(json.dumps(handler({{"body": {report("call-1")!r}}}, None)))
"""
    ended = ran("-c", program, env=environment)

    first, second = map(json.loads, ended.stdout.splitlines())
    assert first == {"statusCode": 200, "body": json.dumps({"call_id": "call-1", "result": "accepted"})}
    assert json.loads(second["body"])["result"] == "duplicate"


def test_the_page_leads_to_every_example() -> None:
    page = PAGE.read_text("utf-8")
    assert [path.name for path in EXAMPLES.iterdir() if path.is_file() and f"examples/{path.name}" not in page] == []

"""A newer server on the older one's files: the ledger is there, whole, and goes on."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import report
from servers import Server, redis7_binary

from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.server.connection import connect
from roark_producer.producer import Producer
from roark_producer.settings import IngestSettings
from roark_worker.upkeep.audit import audit

BEFORE = [f"before-{number}" for number in range(50)]


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="roark-") as made:
        yield Path(made)


def submit(server: Server, *call_ids: str) -> list[str]:
    """Hand reports in; return what became of each."""
    with Producer.from_settings(IngestSettings(_env_file=None, redis_url=server.url)) as producer:
        return [producer.submit(report(call_id)).result for call_id in call_ids]


def test_valkey_9_goes_on_with_the_files_of_redis_7(folder: Path) -> None:
    # given reports that Redis 7 said yes to, and its end
    old = Server(folder, binary=redis7_binary())
    old.start()
    assert submit(old, *BEFORE) == ["accepted"] * len(BEFORE)
    old.stop()

    # when Valkey 9 starts in the same folder
    new = Server(folder)
    new.start()
    try:
        # then it knows each of them, takes in others, and the accounts are right
        assert submit(new, BEFORE[0], "after") == ["duplicate", "accepted"]
        with connect(new.url) as client:
            verdict = audit(Ledger(client))
        assert verdict.holds
        assert verdict.snapshot.states[State.READY] == len(BEFORE) + 1
    finally:
        new.stop()

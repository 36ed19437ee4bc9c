"""Whatever keeps Redis, or a file, from being of use: reports are kept, the reason is told, and nothing else waits."""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from webhook_process import Valkey, Webhook, eventually, report, start, states

from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import watch
from roark_ledger.server.connection import connect
from roark_producer.disk.segments import pending

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

SPOOLING = {"spool": "true", "webhook_body_seconds": 20}
REFUSALS: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "EVALSHA is forbidden": (
        ("ACL", "SETUSER", "default", "-evalsha"),
        ("ACL", "SETUSER", "default", "+evalsha"),
        "NOPERM",
    ),
    "a command in the script is": (
        ("ACL", "SETUSER", "default", "-zcard"),
        ("ACL", "SETUSER", "default", "+zcard"),
        "NOPERM",
    ),
    "too few replicas": (
        ("CONFIG", "SET", "min-replicas-to-write", "1"),
        ("CONFIG", "SET", "min-replicas-to-write", "0"),
        "NOREPLICAS",
    ),
    "a replica": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE"), "is a replica"),
    "memory is full": (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0"), "maxmemory"),
}


@pytest.fixture
def started(own_valkey: Valkey) -> Valkey:
    own_valkey.start()
    return own_valkey


@pytest.fixture
def client(started: Valkey) -> Iterator["redis.Redis"]:
    with connect(started.url) as made:
        yield made


def folder(tmp_path: Path) -> Path:
    return tmp_path / ".roark-ingest" / "spool"


def ready(webhook: Webhook) -> tuple[int, str, str]:
    answer = webhook.get("/readyz")
    said = answer.json()
    return answer.status_code, said["status"], said.get("reason", "")


def posted(webhook: Webhook, *call_ids: str) -> list[str]:
    return [webhook.post(report(call_id)).json()["result"] for call_id in call_ids]


@pytest.mark.parametrize(("refuse", "take", "word"), REFUSALS.values(), ids=REFUSALS)
def test_what_redis_refuses_for_another_reason_is_spooled_and_handed_in_whole(
    started: Valkey, client: "redis.Redis", tmp_path: Path, refuse: tuple[str], take: tuple[str], word: str
) -> None:
    with start(tmp_path, started.url, **SPOOLING) as webhook:
        assert posted(webhook, "before") == ["accepted"]
        client.execute_command(*refuse)
        try:
            assert posted(webhook, *(f"call-{number}" for number in range(9))) == ["spooled"] * 9
            status, state, reason = ready(webhook)
            assert (status, state) == (200, "spooling")
            assert word in reason
        finally:
            client.execute_command(*take)
        eventually(lambda: states(Ledger(client))[State.READY] == 10, 30)
        assert Ledger(client).run(watch.snapshot()).rejected_kept == 0
        eventually(lambda: ready(webhook)[1] == "ready")


class TestWhatCannotBeRead:
    @pytest.fixture(params=["another user's", "no file", "a newer version's", "a newer version's suffix"])
    def in_the_way(self, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
        spool = folder(tmp_path)
        spool.mkdir(parents=True)
        path = spool / f"{1:020d}-1-00.spool"
        match request.param:
            case "no file":
                path.mkdir()
            case "another user's":
                if os.getuid() == 0:
                    pytest.skip("root may read everything")
                path.write_bytes(b"RIS1")
                path.chmod(0)
            case "a newer version's":
                path.write_bytes(b"RIS2 whatever follows")
            case _:
                path = path.with_suffix(".spool2")
                path.write_bytes(b"whatever")
        return path

    def test_nothing_waits_for_it_and_it_is_told_until_it_is_settled(
        self, in_the_way: Path, started: Valkey, client: "redis.Redis", tmp_path: Path
    ) -> None:
        ledger = Ledger(client)
        with start(tmp_path, started.url, **SPOOLING) as webhook:
            assert posted(webhook, "call-1") in (["accepted"], ["spooled"])
            eventually(lambda: states(ledger)[State.READY] == 1)
            eventually(lambda: ledger.run(watch.snapshot()).unread)
            (unread,) = ledger.run(watch.snapshot()).unread
            assert [each.name for each in unread.files] == [in_the_way.name]
            status, state, reason = ready(webhook)
            assert (status, state) == (200, "degraded")
            assert in_the_way.name in reason
            assert ledger.run(watch.alert_facts(lately_ms=1, soon_ms=1)).spools == (), "it is not Redis that is full"
            assert in_the_way.exists(), "it stays where it is"
            in_the_way.rename(tmp_path / "elsewhere")
            eventually(lambda: ready(webhook)[1] == "ready")
            eventually(lambda: not ledger.run(watch.snapshot()).unread)


@contextlib.contextmanager
def a_disk_that_takes_nothing(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """The data directory is a file, as a read-only root or another user's folder would refuse to be written."""
    place = tmp_path / ".roark-ingest"
    place.write_text("in the way")
    yield place.unlink


class TestTheDisk:
    def test_a_disk_that_cannot_be_written_is_told_at_the_start_and_not_ready_once_redis_is_away(
        self, started: Valkey, tmp_path: Path
    ) -> None:
        with a_disk_that_takes_nothing(tmp_path) as mend, start(tmp_path, started.url, **SPOOLING) as webhook:
            assert "spool_unusable" in webhook.logged()
            status, state, reason = ready(webhook)
            assert (status, state) == (200, "degraded")
            assert "cannot write to the spool" in reason
            started.stop()
            eventually(lambda: ready(webhook)[:2] == (503, "not-ready"), 20)
            assert "cannot write to the spool" in ready(webhook)[2]
            mend()
            eventually(lambda: ready(webhook)[:2] == (200, "spooling"), 20)
            assert posted(webhook, "call-1") == ["spooled"]
            started.start()

    def test_a_spool_that_is_full_is_not_ready_either(self, started: Valkey, tmp_path: Path) -> None:
        with start(tmp_path, started.url, **SPOOLING, spool_max_bytes=1_000_000) as webhook:
            started.stop()
            for number in itertools.count():
                body = report(f"call-{number}", noise=os.urandom(90_000).hex())
                if webhook.post(body).status_code == 503:
                    break
                assert number < 50
            status, state, reason = ready(webhook)
            assert (status, state) == (503, "not-ready")
            assert "ROARK_INGEST_SPOOL_MAX_BYTES" in reason
            started.start()
            eventually(lambda: pending(folder(tmp_path)).reports == 0, 30)
            eventually(lambda: ready(webhook)[:2] == (200, "ready"), 20)


class TestAnEmptiedLedger:
    def test_flushall_is_told_within_seconds(self, started: Valkey, client: "redis.Redis", tmp_path: Path) -> None:
        ledger = Ledger(client)
        with start(tmp_path, started.url, **SPOOLING) as webhook:
            assert posted(webhook, "call-1", "call-2", "call-3") == ["accepted"] * 3
            eventually(lambda: '"accepted":3' in remembered(tmp_path))
            client.flushall()
            eventually(lambda: ledger.run(watch.snapshot()).losses, 5)
            (loss,) = ledger.run(watch.snapshot()).losses
            assert (loss.most, loss.open) == (3, 3)
            eventually(lambda: ready(webhook)[1] == "degraded", 5)
            assert "3 reports" in ready(webhook)[2]
            assert "ledger_lost" in webhook.logged()

    def test_redis_on_an_empty_disk_is_told_by_a_webhook_that_was_not_there(
        self, started: Valkey, tmp_path: Path
    ) -> None:
        with start(tmp_path, started.url, **SPOOLING) as webhook:
            assert posted(webhook, "call-1", "call-2") == ["accepted"] * 2
            eventually(lambda: '"accepted":2' in remembered(tmp_path))
        with connect(started.url) as other:
            other.flushall()
        with start(tmp_path, started.url, **SPOOLING) as webhook:
            eventually(lambda: "2 reports" in ready(webhook)[2])

    def test_a_password_that_is_rotated_makes_no_other_ledger_of_it(self, started: Valkey, tmp_path: Path) -> None:
        with start(tmp_path, started.url, **SPOOLING) as webhook:
            assert posted(webhook, "call-1") == ["accepted"]
            eventually(lambda: '"accepted":1' in remembered(tmp_path))
        with start(tmp_path, started.url, **SPOOLING) as webhook:
            assert posted(webhook, "call-2") == ["accepted"]
            eventually(lambda: '"accepted":2' in remembered(tmp_path))
            assert ready(webhook)[1] == "ready"


def remembered(tmp_path: Path) -> str:
    return "".join(path.read_text() for path in (tmp_path / ".roark-ingest").glob("ledger-*.json"))

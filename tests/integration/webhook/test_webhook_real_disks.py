"""Disks as they fail, by the kernel's own hand: another user's file, no room, read-only, a Redis that cannot save.

What needs root (another user, a mount) is skipped for others.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from webhook_process import Valkey, Webhook, eventually, report, start, total

from roark_ledger.ledger import Ledger
from roark_ledger.moves import watch
from roark_ledger.server.connection import connect
from roark_ops.doctor.check import Level
from roark_ops.doctor.here import check_data_dir
from roark_producer.disk.frames import Spooled
from roark_producer.disk.segments import pending
from roark_producer.disk.spool import Spool

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

NOBODY = 65534
SPOOLING = {"spool": "true", "webhook_body_seconds": 20}


@pytest.fixture
def started(own_valkey: Valkey) -> Valkey:
    own_valkey.start()
    return own_valkey


@pytest.fixture
def ledger(started: Valkey) -> Iterator[Ledger]:
    with connect(started.url) as client:
        yield Ledger(client)


@contextmanager
def disk(place: Path, size: str = "300k") -> Iterator[None]:
    """Mount a small disk of its own there."""
    place.mkdir(parents=True)
    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place))
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def mount(*arguments: str) -> None:
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("mount is not installed")
    if done.returncode:
        pytest.skip(f"a disk of its own cannot be mounted here: {done.stderr.strip()}")


def ready(webhook: Webhook) -> tuple[int, str, str]:
    answer = webhook.get("/readyz")
    return answer.status_code, answer.json()["status"], answer.json().get("reason", "")


def posted(webhook: Webhook, call_id: str) -> tuple[int, str]:
    answer = webhook.post(report(call_id))
    return answer.status_code, answer.json().get("result", answer.json().get("error", ""))


def unread(ledger: Ledger) -> str:
    return " ".join(each.words() for each in ledger.run(watch.snapshot()).unread)


class TestWithoutRoot:
    @pytest.fixture
    def home(self) -> Iterator[Path]:
        """A folder of nobody's."""
        if os.geteuid():
            pytest.skip("only root can start a process of another user")
        with tempfile.TemporaryDirectory(prefix="roark-") as made:
            os.chown(made, NOBODY, NOBODY)
            yield Path(made)

    def test_another_users_file_in_the_spool_is_passed_and_handed_in_once_it_can_be_read(
        self, home: Path, started: Valkey, ledger: Ledger
    ) -> None:
        socket = Path(started.url.removeprefix("unix://"))
        socket.parent.chmod(0o755)
        socket.chmod(0o777)
        spool = home / ".roark-ingest" / "spool"
        roots = Spool(spool, most_bytes=10**6)
        roots.append([Spooled(report("call-of-root"), {}, 1)])
        roots.seal()
        for place in (spool.parent, spool):
            os.chown(place, NOBODY, NOBODY)
        (file,) = spool.glob("*.spool")

        with start(home, started.url, user=NOBODY, **SPOOLING) as webhook:
            eventually(lambda: "Permission denied" in unread(ledger))
            assert file.name in unread(ledger)
            status, state, reason = ready(webhook)
            assert (status, state) == (200, "degraded")
            assert "it cannot be read: Permission denied" in reason
            eventually(lambda: posted(webhook, "call-1")[1] in {"accepted", "duplicate"})
            started.stop()
            assert posted(webhook, "call-2") == (200, "spooled")
            started.start()
            socket.chmod(0o777)
            eventually(lambda: total(ledger, "accepted") == 2, 30)
            assert file.exists()
            os.chown(file, NOBODY, NOBODY)
            eventually(lambda: total(ledger, "accepted") == 3, 30)
            eventually(lambda: ready(webhook)[1] == "ready", 20)
            eventually(lambda: not unread(ledger), 20)


class TestARedisThatCannotSave:
    def test_it_is_named_everywhere_and_reports_wait_on_the_webhooks_disk(
        self, started: Valkey, ledger: Ledger, tmp_path: Path
    ) -> None:
        client: redis.Redis = ledger.client
        client.config_set("save", "3600 1")
        in_the_way = Path(started.url.removeprefix("unix://")).parent / "data" / "dump.rdb"
        with start(tmp_path, started.url, **SPOOLING) as webhook:
            assert posted(webhook, "call-1") == (200, "accepted")
            in_the_way.unlink(missing_ok=True)
            (in_the_way / "full").mkdir(parents=True)
            client.bgsave()
            eventually(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
            assert posted(webhook, "call-2") == (200, "spooled")
            status, state, reason = ready(webhook)
            assert (status, state) == (200, "spooling")
            assert "MISCONF" in reason
            assert webhook.metric('roark_ingest_webhook_redis_refuses{reason="MISCONF"}') == 1
            assert webhook.metric('roark_ingest_webhook_redis_refuses{reason="NOPERM"}') == 0

            (in_the_way / "full").rmdir()
            in_the_way.rmdir()
            client.bgsave()
            eventually(lambda: total(ledger, "accepted") == 2, 30)
            eventually(lambda: ready(webhook)[1] == "ready")
            assert webhook.metric('roark_ingest_webhook_redis_refuses{reason="MISCONF"}') == 0


class TestADiskThatIsFull:
    def test_it_is_told_while_redis_is_there_and_reports_are_refused_only_when_redis_is_away_as_well(
        self, started: Valkey, ledger: Ledger, tmp_path: Path
    ) -> None:
        place = tmp_path / "data"
        with disk(place):
            filler = place / "somebody-elses"
            with pytest.raises(OSError, match="No space left"):
                filler.write_bytes(os.urandom(400_000))
            with start(tmp_path, started.url, data_dir=place, **SPOOLING) as webhook:
                status, state, reason = ready(webhook)
                assert (status, state) == (200, "degraded")
                assert "No space left on device" in reason
                told = check_data_dir(place)
                assert told.level is Level.FAIL
                assert "No space left" in told.found
                assert "disk space" in told.mend
                assert posted(webhook, "call-1") == (200, "accepted")
                started.stop()
                assert posted(webhook, "call-2")[0] == 503
                eventually(lambda: ready(webhook)[:2] == (503, "not-ready"), 20)
                assert "No space left on device" in ready(webhook)[2]
                filler.unlink()
                eventually(lambda: ready(webhook)[:2] == (200, "spooling"), 20)
                assert posted(webhook, "call-2") == (200, "spooled")
                started.start()
                eventually(lambda: total(ledger, "accepted") == 2, 30)

    def test_it_fills_up_in_the_middle_and_what_was_answered_with_yes_is_kept(
        self, started: Valkey, ledger: Ledger, tmp_path: Path
    ) -> None:
        place = tmp_path / "data"
        with disk(place), start(tmp_path, started.url, data_dir=place, **SPOOLING) as webhook:
            started.stop()
            answers = [
                webhook.post(report(f"call-{number}", noise=os.urandom(9_000).hex())).status_code
                for number in range(60)
            ]
            assert set(answers) == {200, 503}
            assert pending(place / "spool").reports == answers.count(200)
            started.start()
            eventually(lambda: total(ledger, "accepted") == answers.count(200), 30)
            eventually(lambda: ready(webhook)[:2] == (200, "ready"), 20)

    def test_a_disk_that_is_read_only_is_told_by_its_name(self, started: Valkey, tmp_path: Path) -> None:
        place = tmp_path / "data"
        with disk(place):
            mount("-o", "remount,ro", str(place))
            with start(tmp_path, started.url, data_dir=place, **SPOOLING) as webhook:
                assert ready(webhook)[:2] == (200, "degraded")
                assert "Read-only file system" in ready(webhook)[2]
                assert "ledger_not_remembered" in webhook.logged()
                told = check_data_dir(place)
                assert (told.level, "Read-only file system" in told.found) == (Level.FAIL, True)

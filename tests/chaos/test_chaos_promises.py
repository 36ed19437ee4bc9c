"""What happens to the store from outside: it is emptied, it refuses, a spool's file cannot be read. It is told."""

import httpx
import pytest
from chaos_line import Line
from servers import Server

from roark_ledger.records.alerts import AlertKind
from roark_producer.disk.segments import pending
from roark_worker.upkeep.audit import audit


def ready(line: Line) -> dict[str, str]:
    said: dict[str, str] = httpx.get(line.url.replace("/vapi", "/readyz"), timeout=10).json()
    return said


def is_told(line: Line) -> bool:
    snapshot = line.snapshot()
    return bool(
        snapshot.losses
        and AlertKind.LEDGER_LOST in {alert.kind for alert in snapshot.alerts if alert.active}
        and ready(line)["status"] == "degraded"
    )


def emptied(line: Line) -> None:
    line.ledger.client.flushall()


def restarted_on_an_empty_folder(line: Line) -> None:
    assert line.server
    line.server.kill()
    folder = line.folder / "another"
    folder.mkdir()
    socket = line.server.socket
    line.server = Server(folder)
    line.server._process.unix_socket_path = socket
    line.server.start()


@pytest.mark.parametrize("harm", [emptied, pytest.param(restarted_on_an_empty_folder, marks=pytest.mark.chaos)])
def test_an_emptied_ledger_is_told_within_seconds_and_fails_the_proof(harm: object) -> None:
    with Line("emptied", seed=61, ROARK_INGEST_ALERT_LOOK_SECONDS="0.5") as line:
        line.start("--latency-ms", "400", number=400)
        line.until(lambda: line.snapshot().total("accepted") > 100, "some are accepted")
        line.some_time(2, 4)
        before = line.snapshot().total("accepted")
        assert callable(harm)
        harm(line)
        line.until(lambda: is_told(line), "it is told", 10)
        (loss,) = line.snapshot().losses
        assert before - 400 <= loss.most <= 400
        assert not audit(line.ledger).holds
        with pytest.raises(AssertionError, match=r"lost: |does not know"):
            line.prove(in_the_table=False)


@pytest.mark.chaos
def test_redis_refuses_scripts_for_a_while() -> None:
    with Line("EVALSHA forbidden by Redis's ACL for 5 s", seed=62) as line:
        line.start(number=900)
        line.some_time(0.3, 1)
        line.in_flight = 128
        with line.fault():
            line.ledger.client.execute_command("ACL", "SETUSER", "default", "-evalsha")
            line.until(lambda: ready(line)["status"] == "spooling", "the webhook tells")
            assert "NOPERM" in ready(line)["reason"]
            line.some_time(4, 5)
            line.ledger.client.execute_command("ACL", "SETUSER", "default", "+evalsha")
        line.prove()
        assert line.snapshot().rejected_kept == 0


@pytest.mark.chaos
def test_a_file_in_the_spool_that_cannot_be_read_is_passed() -> None:
    with Line("a spool's file that cannot be read, Valkey away for 3 s", seed=63) as line:
        line.spool.mkdir(parents=True)
        in_the_way = line.spool / f"{1:020d}-1-00.spool"
        in_the_way.mkdir()
        line.start(number=900)
        assert line.server
        with line.fault():
            line.kill_server()
            line.until(lambda: pending(line.spool).reports > 100, "reports are spooled")
            line.server.start()
        line.until(lambda: line.snapshot().unread, "what cannot be read is told")
        in_the_way.rmdir()
        line.until(lambda: not line.snapshot().unread, "that it is gone is told")
        line.prove()

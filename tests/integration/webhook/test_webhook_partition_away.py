"""A node of the ledger's cluster is away: reports of its partitions wait on this machine's disk, all others go on."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clusters import Node, Nodes, cluster
from webhook_process import Webhook, eventually, report, start

from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import upkeep, watch
from roark_ledger.partitions.ledger import PartedLedger
from roark_ledger.partitions.opening import open_ledger
from roark_ledger.partitions.placing import PARTITIONS, partition_of, prefixes
from roark_ledger.server.connection import connect
from roark_producer.disk.segments import pending

pytestmark = [pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"), pytest.mark.servers]
NUMBER = 6
PREFIX = "roark"


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    with cluster(cluster_require_full_coverage="no", appendonly="yes") as started:
        client = connect(started.url)
        home = Ledger(client, prefix=PREFIX)
        client.hset(home.calls.keys.promises, PARTITIONS, NUMBER)
        home.close()
        yield started


def victim(nodes: Nodes) -> tuple[Node, set[int]]:
    """Return a node that has partitions and not the home, and which those are."""
    home = nodes.owner(PREFIX)
    node = nodes.other_primary(home)
    return node, {number for number, name in enumerate(prefixes(PREFIX, NUMBER)) if nodes.owner(name) is node}


class Load:
    """Posts reports steadily, and keeps what each was answered and how long that took."""

    def __init__(self, webhook: Webhook) -> None:
        self._webhook = webhook
        self._over = threading.Event()
        self.answers: dict[str, tuple[int, str, float]] = {}
        self._threads = [threading.Thread(target=self._post, args=(number,)) for number in range(8)]

    def _post(self, thread: int) -> None:
        for number in range(100_000):
            if self._over.is_set():
                return
            call_id, began = f"load-{thread}-{number}", time.monotonic()
            answer = self._webhook.post(report(call_id))
            self.answers[call_id] = answer.status_code, answer.json().get("result", ""), time.monotonic() - began
            time.sleep(0.02)  # noqa: TID251 a steady load

    def __enter__(self) -> "Load":
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for each in self._threads:
            each.join()


def kill(node: Node) -> None:
    node.kill()


def freeze(node: Node) -> None:
    node.send_signal(signal.SIGSTOP)


def start_again(node: Node) -> None:
    node.start()


def thaw(node: Node) -> None:
    node.send_signal(signal.SIGCONT)


@pytest.mark.parametrize(("harm", "mend"), [(kill, start_again), (freeze, thaw)])
def test_while_a_node_is_away_its_calls_are_spooled_and_all_others_go_on(
    nodes: Nodes, tmp_path: Path, harm: Callable[[Node], None], mend: Callable[[Node], None]
) -> None:
    spool = tmp_path / ".roark-ingest" / "spool"
    node, theirs = victim(nodes)
    assert 0 < len(theirs) < NUMBER
    ledger = open_ledger(nodes.url, PREFIX)
    assert isinstance(ledger, PartedLedger)
    pause = threading.Event()
    with (
        start(tmp_path, nodes.url, spool="true", broker_url="redis://127.0.0.1:1/0", webhook_processes=2) as webhook,
        Load(webhook) as load,
    ):
        pause.wait(2)
        before = set(load.answers)
        harm(node)
        pause.wait(6)
        while_away = set(load.answers) - before
        ready = webhook.get("/readyz")
        eventually(lambda: webhook.metric("roark_ingest_partitions_away") == len(theirs))
        snapshot = ledger.run(watch.snapshot())
        began = time.monotonic()
        ledger.run(upkeep.promote(most=10))
        assert time.monotonic() - began < 1, "what hangs is waited for once"
        mend(node)
        nodes.wait_until_whole()
        eventually(lambda: pending(spool).reports == 0, 30)
        eventually(lambda: webhook.get("/readyz").json()["status"] == "ready", 30)
    assert {status for status, _, _ in load.answers.values()} == {200}
    here = {call_id for call_id in while_away if partition_of(call_id, NUMBER) not in theirs}
    gone = while_away - here
    slowest = sorted(load.answers[call_id][2] for call_id in here)
    assert {load.answers[call_id][1] for call_id in here} == {"accepted"}
    assert "spooled" in {load.answers[call_id][1] for call_id in gone}
    assert slowest[-1] < 1.0
    named = ready.json()
    assert (ready.status_code, named["status"]) == (200, "degraded")
    assert f" of {NUMBER} " in named["reason"], named
    assert all(str(number) in named["reason"] for number in theirs)
    assert set(snapshot.away) == theirs
    assert snapshot.accounts.holds
    found = ledger.run(watch.snapshot())
    assert (found.away, found.states[State.READY]) == ((), len(load.answers))
    assert found.accounts.holds
    ledger.close()

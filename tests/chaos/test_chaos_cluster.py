"""The ledger's cluster under load: primaries die, hang and restart, and the ledger's slot moves from node to node."""

import contextlib
import signal
from collections.abc import Callable, Iterator

import pytest
from chaos_line import MAX_IN_FLIGHT, Line
from clusters import Node, Nodes, cluster
from pipeline import wait_until
from servers import running

from roark_ledger.errors import LedgerUnavailable
from roark_ledger.server.cluster import node_of

ON_A_REPLICA = {"ROARK_INGEST_DURABILITY": "replicated:1"}
MOVES = {"as Valkey 9 does it": Nodes.move, "key by key": Nodes.move_by_keys}


@contextlib.contextmanager
def under_load(
    fault: str, *, seed: int, number: int = 1500, full: str = "yes", **settings: str
) -> Iterator[tuple[Nodes, Line]]:
    with (
        cluster(replicas=1, cluster_require_full_coverage=full, enable_debug_command="yes") as nodes,
        running() as broker,
        Line(fault, seed=seed, redis_url=nodes.url, ROARK_INGEST_BROKER_URL=broker.url, **settings) as line,
    ):
        line.start(number=number)
        line.some_time(0.3, 1)
        yield nodes, line


def is_followed(line: Line, heir: Node) -> None:
    """Wait until the ledger is found where it is now."""

    def found() -> bool:
        with contextlib.suppress(LedgerUnavailable):
            line.delivered()
        return node_of(line.ledger.client) == heir.address

    line.until(found, "the new node is found", 30)


@pytest.mark.chaos
@pytest.mark.parametrize("full", ["yes", "no"])
def test_the_ledgers_primary_is_killed_and_its_replica_takes_over(full: str) -> None:
    with under_load(f"cluster: kill -9 of the primary (full coverage: {full})", seed=71, full=full, **ON_A_REPLICA) as (
        nodes,
        line,
    ):
        old = nodes.owner()
        heir = nodes.replica_of(old)
        with line.fault():
            line.in_flight += MAX_IN_FLIGHT * len(line.workers)
            old.kill()
            wait_until(lambda: heir in nodes.primaries, "the replica takes over")
            # Until it has a replica of its own it cannot promise two copies, and the webhook spools.
            old.start()
        line.prove()
        assert nodes.owner() is heir


@pytest.mark.chaos
def test_the_ledgers_primary_hangs_is_replaced_and_wakes_up_as_if_nothing_had_happened() -> None:
    with under_load("cluster: the primary hangs, is replaced, and wakes up", seed=72, **ON_A_REPLICA) as (nodes, line):
        old = nodes.owner()
        heir = nodes.replica_of(old)
        with line.fault():
            line.in_flight += MAX_IN_FLIGHT * len(line.workers)
            old.send_signal(signal.SIGSTOP)
            wait_until(lambda: heir in nodes.primaries, "the replica takes over")
            line.some_time(1, 3)
            old.send_signal(signal.SIGCONT)
        line.prove()


@pytest.mark.chaos
def test_the_ledgers_primary_is_cut_off_from_the_other_nodes_and_goes_on_to_call_itself_the_primary() -> None:
    with under_load("cluster: the primary is cut off from the other nodes", seed=76, **ON_A_REPLICA) as (nodes, line):
        old = nodes.owner()
        heir = nodes.replica_of(old)
        assert old is nodes.all[0], "it is asked first"
        with line.fault():
            line.in_flight += MAX_IN_FLIGHT * len(line.workers)
            old.cut_off()
            wait_until(lambda: heir in nodes.primaries, "the replica takes over")
            is_followed(line, heir)
            line.some_time(3, 4)
            old.cut_off(off=False)
        line.prove()
        assert nodes.replica_of(heir) is old


@pytest.mark.chaos
def test_another_primary_is_killed_and_nobody_takes_over() -> None:
    for full, goes_on in (("no", True), ("yes", False)):
        with under_load(f"cluster: another primary is gone for good (full coverage: {full})", seed=73, full=full) as (
            nodes,
            line,
        ):
            other = nodes.other_primary(nodes.owner())
            replica = nodes.replica_of(other)
            with line.fault():
                replica.kill()
                other.kill()
                seen = line.delivered()
                if goes_on:
                    line.until(lambda seen=seen: line.delivered() > seen + 100, "reports go on")  # type: ignore[misc]
                    line.some_time(3, 4)
                else:
                    line.some_time(3, 4)
                other.start()
            line.prove()


@pytest.mark.chaos
@pytest.mark.parametrize("how", MOVES)
def test_the_ledger_moves_from_node_to_node(how: str) -> None:
    move: Callable[[Nodes], Node] = MOVES[how]
    with under_load(f"cluster: the ledger moves five times, {how}", seed=74) as (nodes, line):
        for _ in range(5):
            line.some_time(0.5, 1.5)
            with line.fault():
                is_followed(line, move(nodes))
        line.prove()
        seen = line.snapshot()
        assert seen.total("breaker_opened") == 0
        assert not [alert for alert in seen.alerts if alert.active]


@pytest.mark.chaos
def test_the_nodes_are_restarted_one_after_the_other() -> None:
    with under_load("cluster: a rolling restart", seed=75, number=3000, **ON_A_REPLICA) as (nodes, line):
        for node in nodes.all:
            line.in_flight += MAX_IN_FLIGHT * len(line.workers)
            with line.fault():
                if node in nodes.primaries:
                    nodes.hand_over(node)
                node.stop()
                node.start()
                nodes.wait_until_whole()
        line.prove()

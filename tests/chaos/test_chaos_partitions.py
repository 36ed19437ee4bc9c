"""Sixteen partitions on a cluster of six nodes under load: primaries die, hang, are cut off and restart, slots move."""

import contextlib
import signal
from collections.abc import Iterator

import pytest
from chaos_line import MAX_IN_FLIGHT, Line
from clusters import Nodes, cluster
from pipeline import Process, wait_until
from servers import running

from roark_ledger.partitions.placing import MOVING, prefixes

SIXTEEN = 16
ON_A_REPLICA = {"ROARK_INGEST_DURABILITY": "replicated:1"}
PARTITIONS = prefixes("roark", SIXTEEN)
COMMAND = "from roark_ops.cli import main; main()"


@contextlib.contextmanager
def under_load(
    fault: str, *, seed: int, number: int = 1500, full: str = "yes", **settings: str
) -> Iterator[tuple[Nodes, Line]]:
    with (
        cluster(replicas=1, cluster_require_full_coverage=full, enable_debug_command="yes") as nodes,
        running() as broker,
        Line(
            f"16 partitions: {fault}",
            seed=seed,
            redis_url=nodes.url,
            partitions=SIXTEEN,
            ROARK_INGEST_BROKER_URL=broker.url,
            **settings,
        ) as line,
    ):
        line.start(number=number)
        line.some_time(0.3, 1)
        yield nodes, line


@pytest.mark.chaos
def test_nothing_happens() -> None:
    with under_load("no fault", seed=170) as (nodes, line):
        line.prove(duplicates_at_most=0)
        assert {nodes.owner(prefix) for prefix in PARTITIONS} == set(nodes.primaries)


@pytest.mark.chaos
@pytest.mark.parametrize("full", ["yes", "no"])
def test_a_primary_is_killed_its_replica_takes_over_and_it_is_brought_back(full: str) -> None:
    with under_load(f"kill -9 of a primary (full coverage: {full})", seed=171, full=full, **ON_A_REPLICA) as (
        nodes,
        line,
    ):
        old = nodes.owner(PARTITIONS[-1])
        heir = nodes.replica_of(old)
        with line.fault():
            line.in_flight += MAX_IN_FLIGHT * len(line.workers)
            old.kill()
            wait_until(lambda: heir in nodes.primaries, "the replica takes over")
            old.start()
        line.prove()


@pytest.mark.chaos
def test_the_homes_primary_is_killed_and_its_replica_takes_over() -> None:
    with under_load("kill -9 of the home's primary", seed=172, **ON_A_REPLICA) as (nodes, line):
        old = nodes.owner("roark")
        heir = nodes.replica_of(old)
        with line.fault():
            line.in_flight += MAX_IN_FLIGHT * len(line.workers)
            old.kill()
            wait_until(lambda: heir in nodes.primaries, "the replica takes over")
            old.start()
        line.prove()


@pytest.mark.chaos
def test_busy_partitions_move_from_node_to_node() -> None:
    with under_load("busy partitions move, one after the other", seed=173) as (nodes, line):
        for number in (0, 5, 10, 15, 0):
            line.some_time(0.3, 1)
            with line.fault():
                nodes.move(PARTITIONS[number])
        with line.fault():
            nodes.move("roark")
        line.prove()
        seen = line.snapshot()
        assert seen.total("breaker_opened") == 0
        assert not [alert for alert in seen.alerts if alert.active]


@pytest.mark.chaos
def test_a_primary_is_cut_off_from_the_other_nodes() -> None:
    with under_load("a primary is cut off from the other nodes", seed=174, **ON_A_REPLICA) as (nodes, line):
        old = nodes.owner(PARTITIONS[0])
        heir = nodes.replica_of(old)
        with line.fault():
            line.in_flight += MAX_IN_FLIGHT * len(line.workers)
            old.cut_off()
            wait_until(lambda: heir in nodes.primaries, "the replica takes over")
            line.some_time(3, 4)
            old.cut_off(off=False)
        line.prove()


@pytest.mark.chaos
def test_a_primary_hangs_is_replaced_and_wakes_up() -> None:
    with under_load("a primary hangs, is replaced, and wakes up", seed=175, **ON_A_REPLICA) as (nodes, line):
        old = nodes.owner(PARTITIONS[8])
        heir = nodes.replica_of(old)
        with line.fault():
            line.in_flight += MAX_IN_FLIGHT * len(line.workers)
            old.send_signal(signal.SIGSTOP)
            wait_until(lambda: heir in nodes.primaries, "the replica takes over")
            line.some_time(1, 3)
            old.send_signal(signal.SIGCONT)
        line.prove()


@pytest.mark.chaos
def test_the_nodes_are_restarted_one_after_the_other() -> None:
    with under_load("a rolling restart", seed=176, number=3000, **ON_A_REPLICA) as (nodes, line):
        for node in nodes.all:
            line.in_flight += MAX_IN_FLIGHT * len(line.workers)
            with line.fault():
                if node in nodes.primaries:
                    nodes.hand_over(node)
                node.stop()
                node.start()
                nodes.wait_until_whole()
        line.prove()


@pytest.mark.chaos
def test_a_worker_is_killed() -> None:
    with under_load("kill -9 of a worker", seed=177) as (_, line):
        with line.fault():
            line.kill(line.workers[0])
            line.start_workers(1)
        line.prove()


@pytest.mark.chaos
@pytest.mark.parametrize(("whose", "seed"), [("the calls' old", 179), ("a partition's", 180)])
def test_a_primary_is_killed_while_a_ledger_is_split(whose: str, seed: int) -> None:
    with (
        cluster(replicas=1) as nodes,
        running() as broker,
        Line(
            f"1 partition is split into 16, kill -9 of {whose} primary",
            seed=seed,
            redis_url=nodes.url,
            ROARK_INGEST_BROKER_URL=broker.url,
            **ON_A_REPLICA,
        ) as line,
    ):
        line.start(number=3000, per_second=300)
        line.until(lambda: line.snapshot().total("accepted") > 2000, "there is something to split")
        home = nodes.owner("roark")
        others = [nodes.owner(each) for each in PARTITIONS if nodes.owner(each) is not home]
        old = home if whose == "the calls' old" else others[0]
        heir = nodes.replica_of(old)
        splits = [split_up(line)]
        with line.fault():
            line.until(lambda: line.ledger.client.hexists(line.ledger.calls.keys.promises, MOVING), "it has begun")
            line.some_time(0, 0.5)
            assert line.ledger.client.hexists(line.ledger.calls.keys.promises, MOVING)
            line.in_flight += MAX_IN_FLIGHT * len(line.workers)
            old.kill()
            wait_until(lambda: heir in nodes.primaries, "the replica takes over")
            old.start()
            while splits[-1].exit_code() != 0:
                assert "run this again: roark-ingest partition 16" in splits[-1].log, splits[-1].log
                assert len(splits) < 20
                splits.append(split_up(line))
        line.prove()
        assert line.snapshot().partitions == SIXTEEN
        assert line.snapshot().moving is None


def split_up(line: Line) -> Process:
    return line.run("partition", "-c", COMMAND, "partition", str(SIXTEEN), "--yes")


@pytest.mark.chaos
def test_a_ledger_of_one_partition_is_split_over_the_nodes_while_all_goes_on() -> None:
    with (
        cluster(replicas=1) as nodes,
        running() as broker,
        Line(
            "1 partition is split into 16 on three nodes, under load",
            seed=178,
            redis_url=nodes.url,
            ROARK_INGEST_BROKER_URL=broker.url,
        ) as line,
    ):
        line.start(number=2000)
        line.some_time(1, 2)
        with line.fault():
            split = split_up(line)
            line.until(lambda: "The ledger has 16 partitions" in split.log, "it is split")
        line.prove()
        seen = line.snapshot()
        assert seen.partitions == SIXTEEN
        assert {nodes.owner(prefix) for prefix in PARTITIONS} == set(nodes.primaries)

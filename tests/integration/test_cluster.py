"""The ledger on a real cluster: it is found, followed when it moves, and promised on the node that wrote."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clusters import Node, Nodes, cluster
from commands import CommandLine, report
from pipeline import wait_until
from servers import running

from roark_ledger.errors import BrokenPromise, LedgerError, LedgerUnavailable, UnfitServer
from roark_ledger.ledger import AsyncLedger, Ledger
from roark_ledger.moves import intake, watch
from roark_ledger.server.cluster import node_of, slot_of
from roark_ledger.server.connection import connect, connect_async
from roark_ledger.server.durability import inspect, keep
from roark_ops.roles import RedisRole
from roark_producer.proving import prove_broker, prove_ledger

BROKER = "ROARK_INGEST_BROKER_URL"
PASSWORDS = {role: f"password-of-the-{role}" for role in RedisRole}


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with cluster(replicas=1) as started:
        yield started


@pytest.fixture
def ledger(nodes: Nodes, prefix: str) -> Iterator[Ledger]:
    client = connect(nodes.url)
    found = Ledger(client, prefix=prefix)
    with contextlib.closing(found):
        yield found.promising(keep("fsync", inspect(client)).after_write)


def calls_of(node: Node, command: str) -> int:
    with node.client() as admin:
        told: Any = admin.info("commandstats")
    return int(told.get(f"cmdstat_{command}", {}).get("calls", 0))


def test_a_ledger_is_found_wherever_its_slot_is(nodes: Nodes, ledger: Ledger, prefix: str) -> None:
    ledger.run_durably(intake.tally({"ignored": 1}))

    owner = nodes.owner(prefix)
    assert node_of(ledger.client) == owner.address
    assert owner.ask("EXISTS", ledger.calls.keys.counters) == 1


@pytest.mark.parametrize("move", [Nodes.move, Nodes.move_by_keys])
def test_one_that_moves_is_followed_and_nobody_notices(
    nodes: Nodes, ledger: Ledger, prefix: str, move: Callable[[Nodes, str], Node]
) -> None:
    for number in range(1, 3):
        ledger.run_durably(intake.tally({"ignored": 1}))
        target = move(nodes, prefix)
        before = calls_of(target, "waitaof")

        ledger.run_durably(intake.tally({"ignored": 1}))

        assert ledger.run(watch.snapshot()).total("ignored") == 2 * number
        assert node_of(ledger.client) == target.address
        assert calls_of(target, "waitaof") > before


def test_so_it_is_on_an_event_loop_with_many_under_way(nodes: Nodes, prefix: str) -> None:
    async def story() -> int:
        after_write = ("WAITAOF", 1, 0, 4000)
        ledger = AsyncLedger(connect_async(nodes.url), prefix=prefix, after_write=after_write)
        async with contextlib.aclosing(ledger):
            return await followed(ledger)

    async def followed(ledger: AsyncLedger) -> int:
        done = 0

        async def submit(until: asyncio.Event) -> None:
            nonlocal done
            while not until.is_set():
                await ledger.run_durably(intake.tally({"ignored": 1}))
                done += 1

        over = asyncio.Event()
        tasks = [asyncio.create_task(submit(over)) for _ in range(20)]
        for _ in range(3):
            await asyncio.sleep(0.1)
            await asyncio.to_thread(nodes.move, prefix)
        await asyncio.sleep(0.1)
        over.set()
        await asyncio.gather(*tasks)
        counted = (await ledger.run(watch.snapshot())).total("ignored")
        assert counted == done
        return counted

    assert asyncio.run(story()) > 0


def test_while_its_keys_are_split_between_two_nodes_it_waits_and_then_goes_on(
    nodes: Nodes, ledger: Ledger, prefix: str
) -> None:
    ledger.run_durably(intake.tally({"ignored": 1}))
    slot, source = slot_of(prefix), nodes.owner(prefix)
    target = nodes.other_primary(source)
    target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.name)
    source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.name)
    with pytest.raises(LedgerUnavailable, match="is being moved to another node of the cluster"):
        ledger.run_durably(intake.tally({"ignored": 1}))

    nodes.move_by_keys(prefix, target)

    ledger.run_durably(intake.tally({"ignored": 1}))
    assert ledger.run(watch.snapshot()).total("ignored") == 2


def test_a_node_that_keeps_no_file_promises_nothing_though_the_one_before_did(
    nodes: Nodes, ledger: Ledger, prefix: str
) -> None:
    ledger.run_durably(intake.tally({"ignored": 1}))
    target = nodes.other_primary(nodes.owner(prefix))
    target.ask("CONFIG", "SET", "appendonly", "no")
    try:
        nodes.move(prefix, target)
        with pytest.raises(LedgerUnavailable):
            ledger.run_durably(intake.tally({"ignored": 1}))
        with pytest.raises(BrokenPromise, match="appendonly yes"):
            keep("fsync", inspect(ledger.client))
    finally:
        target.ask("CONFIG", "SET", "appendonly", "yes")


def test_an_address_that_leads_nowhere_is_named_with_the_setting(nodes: Nodes, prefix: str) -> None:
    owner = nodes.owner(prefix)
    seed = nodes.other_primary(owner)
    owner.ask("CONFIG", "SET", "cluster-announce-port", "1")
    try:
        wait_until(lambda: b":1@" in seed.ask("CLUSTER", "NODES"), "the others have heard of it")
        with connect(f"redis+cluster://{seed.address}") as client, pytest.raises(LedgerUnavailable) as caught:
            Ledger(client, prefix=prefix).run(watch.snapshot())
        assert "names 127.0.0.1:1 as the ledger's primary, which is unreachable (connection refused)" in str(
            caught.value
        )
        assert f"ROARK_INGEST_REDIS_URL: cluster {seed.address}" in str(caught.value)
    finally:
        owner.ask("CONFIG", "SET", "cluster-announce-port", "0")
        wait_until(
            lambda: not any(b":1@" in each.ask("CLUSTER", "NODES") for each in nodes.all), "all have heard of it"
        )


def test_seeds_that_are_gone_do_not_matter_as_long_as_one_answers(nodes: Nodes, prefix: str) -> None:
    with connect(f"redis+cluster://127.0.0.1:1,{nodes.all[-1].address}") as client:
        prove_ledger(Ledger(client, prefix=prefix))
    with connect("redis+cluster://127.0.0.1:1,127.0.0.1:2") as client:
        words = r"connection refused \(ROARK_INGEST_REDIS_URL: cluster 127.0.0.1:1, 127.0.0.1:2\)"
        with pytest.raises(LedgerUnavailable, match=words):
            Ledger(client, prefix=prefix).run(watch.snapshot())


def test_a_url_that_names_the_wrong_kind_is_refused_with_the_right_one(nodes: Nodes) -> None:
    with connect(f"redis://{nodes.all[0].address}") as client:
        with pytest.raises(UnfitServer, match=r"is a node of a cluster.*redis\+cluster://HOST:PORT"):
            keep("memory", inspect(client))
        with pytest.raises(UnfitServer, match=f"names a cluster.*set {BROKER}"):
            prove_broker(f"redis://{nodes.all[0].address}", BROKER)
    words = r"it is not in cluster mode.*redis://"
    with (
        running(tcp=True) as alone,
        connect(f"redis+cluster://127.0.0.1:{alone.port}") as client,
        pytest.raises(LedgerUnavailable, match=words),
    ):
        inspect(client)


def test_commands_and_doctor_work_and_name_the_node(nodes: Nodes, tmp_path: Path, prefix: str) -> None:
    line = CommandLine(nodes.url, prefix, tmp_path)
    with running(tcp=True) as broker:
        line.environment[BROKER] = f"redis://127.0.0.1:{broker.port}"
        assert line.run("enqueue", "-", stdin=report("call-1")).exit_code == 0
        told = line.run("doctor").stdout
        assert f"the cluster's node {nodes.owner(prefix).address}, which has the ledger now" in told
        assert "can declare, publish and consume wake-ups" in told
        assert f"the ledger is on {nodes.owner(prefix).address} of the cluster now" in line.run("status").stdout
        assert line.run("status", "--json").document["cluster_node"] == nodes.owner(prefix).address

    del line.environment[BROKER]
    refused = line.run("enqueue", "-", stdin=report("call-2"))
    assert refused.exit_code != 0
    assert "ROARK_INGEST_REDIS_URL names a cluster, which can have the ledger but not Celery's queue" in refused.stderr
    assert line.run("status").exit_code in {0, 3}, "who looks needs no queue"
    line.ledger.close()


def test_the_users_are_made_on_every_node_and_each_may_ask_where_the_ledger_is(
    nodes: Nodes, tmp_path: Path, prefix: str
) -> None:
    line = CommandLine(nodes.url, prefix, tmp_path)
    done = line.run("acl", str(tmp_path / "users"), "--apply")
    assert done.exit_code == 0, done.stderr
    assert f"The {len(nodes.all)} nodes of the cluster have the users" in done.stdout
    try:
        for role in RedisRole:
            url = (tmp_path / "users" / f"redis_url_{role}").read_text()
            with connect(url) as client:
                found = Ledger(client, prefix=prefix)
                found.run(watch.snapshot())
                assert found.user() == role
                if role is not RedisRole.VIEWER:
                    nodes.move(prefix)
                    prove_ledger(found.promising(keep("fsync", inspect(client)).after_write))
        with connect(url) as client:
            for node in nodes.all:
                node.ask("ACL", "SETUSER", RedisRole.OPERATOR, "-cluster|slots")
            with pytest.raises(LedgerError, match=r"\+cluster\|slots"):
                Ledger(client, prefix=prefix).run(watch.snapshot())
    finally:
        for node in nodes.all:
            node.ask("ACL", "DELUSER", *RedisRole)
    line.ledger.close()


def test_when_its_primary_dies_the_replica_is_found(nodes: Nodes, prefix: str) -> None:
    with connect(nodes.url) as client:
        ledger = Ledger(client, prefix=prefix, after_write=("WAIT", 1, 4000))
        ledger.run_durably(intake.tally({"ignored": 1}))
        old = nodes.owner(prefix)
        heir = nodes.replica_of(old)
        old.kill()

        def works() -> bool:
            try:
                return ledger.run(watch.snapshot()).total("ignored") == 1
            except LedgerUnavailable:
                return False

        assert wait_until(works, "the replica is found") < 10
        assert node_of(client) == heir.address
        old.start()
        nodes.wait_until_whole()
        with connect(f"redis+cluster://{old.address}") as other:
            assert Ledger(other, prefix=prefix).run(watch.snapshot()).total("ignored") == 1
            assert node_of(other) == heir.address

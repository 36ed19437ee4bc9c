"""The ledger and its server: full memory, forgotten scripts, restarts, promises, the clock, many callers at once."""

import threading
from collections.abc import Iterator

import pytest
import redis
from clocks import Clock
from pipeline import wait_until
from servers import Server, configured, redis7_binary, running
from workbench import DELAY_MS, LEASE_MS, Workbench, all_held

from roark_ledger.errors import BrokenPromise, InvalidReport, LedgerFault, LedgerFull, LedgerUnavailable
from roark_ledger.ledger import Ledger
from roark_ledger.moves import intake, upkeep, watch
from roark_ledger.server.connection import connect
from roark_ledger.server.durability import inspect, keep
from roark_producer.settings import IngestSettings
from roark_producer.taking import Intake


@pytest.fixture
def full(real_bench: Workbench, real_client: "redis.Redis") -> Iterator[Workbench]:
    """A ledger with ready reports, on a server whose memory is full."""
    real_bench.accept_all(*(f"call-{number}" for number in range(12)))
    with configured(real_client, "maxmemory", "1mb"):
        yield real_bench


@pytest.fixture(params=["valkey", "redis7"])
def own_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that a test may kill."""
    with running(binary=redis7_binary() if request.param == "redis7" else None) as server:
        yield server


class TestFullMemory:
    def test_a_batch_is_refused_as_a_whole_and_nothing_of_it_is_stored(self, full: Workbench) -> None:
        before = full.inventory()

        with pytest.raises(LedgerFull, match="nothing was stored"):
            full.accept_all("call-0", ("call-1", "b"), "call-new", "call-newer")

        assert full.inventory() == before

    def test_so_is_what_would_go_to_the_rejected_bin(self, full: Workbench) -> None:
        with pytest.raises(LedgerFull):
            full.run(
                Intake(IngestSettings(_env_file=None)).rejection(
                    b"nonsense", InvalidReport("body", "no"), source="test"
                )
            )

    def test_everything_that_records_an_outcome_or_frees_memory_goes_on(self, full: Workbench) -> None:
        one, two, three, four, five, six = all_held(full.claim(6).reports)

        assert full.deliver(one)
        assert full.defer(two)
        assert full.bury(three)
        assert full.release(four)
        assert full.renew(five)
        full.clock.advance(LEASE_MS + DELAY_MS)
        assert full.promote() == 1
        assert full.reap().reclaimed == 2
        assert full.replay(three.call_id) == ["replayed"]
        assert full.erase(six.call_id) == "ready"
        assert full.hold_by_hand()
        assert full.resume()
        assert full.snapshot().balanced
        full.inventory().check()

    def test_so_it_does_where_the_server_has_to_be_told_its_scripts_first(
        self, full: Workbench, real_client: "redis.Redis"
    ) -> None:
        real_client.script_flush()

        assert full.deliver(all_held(full.claim(1).reports)[0])

    def test_reports_are_taken_again_when_there_is_room(self, full: Workbench, real_client: "redis.Redis") -> None:
        with pytest.raises(LedgerFull):
            full.accept("call-new")

        real_client.config_set("maxmemory", "0")

        assert full.accept("call-new") == "accepted"


class TestScriptsThatTheServerForgot:
    def test_they_are_sent_again_and_the_operation_is_done_once(self, bench: Workbench) -> None:
        bench.accept("call-1")
        bench.ledger.client.script_flush()

        assert bench.accept("call-2") == "accepted"

        assert bench.count("accepted") == 2

    def test_several_operations_in_one_round_trip_keep_their_order(self, bench: Workbench) -> None:
        bench.ledger.client.script_flush()
        steps = [intake.tally({"first": 1}), intake.tally({"second": 2}), upkeep.promote(most=1)]

        assert bench.ledger.run_all(steps) == [0, 0, 0]

        assert (bench.count("first"), bench.count("second")) == (1, 2)

    def test_only_those_that_it_forgot_are_repeated(self, bench: Workbench) -> None:
        bench.run(intake.tally({"before": 1}))
        bench.ledger.client.script_flush()
        bench.run(upkeep.promote(most=1))

        # The server knows `promote` and not `tally`: the first of these is repeated, the second is not.
        bench.ledger.run_all([intake.tally({"counted": 1}), upkeep.promote(most=1)])

        assert bench.count("counted") == 1


class TestAServerThatGoesAway:
    def test_what_was_accepted_survives_a_kill(self, own_server: Server, clock: Clock) -> None:
        with connect(own_server.url) as client:
            bench = Workbench(Ledger(client, clock=clock), clock)
            bench.accept_all(*(f"call-{number}" for number in range(20)))
            bench.deliver(all_held(bench.claim(5).reports)[0])
            before = bench.inventory()

            own_server.kill()
            own_server.start()

        with connect(own_server.url) as client:
            bench = Workbench(Ledger(client, clock=clock), clock)
            assert bench.inventory() == before
            assert bench.snapshot().balanced

    def test_the_same_ledger_goes_on_after_a_restart(self, own_server: Server, clock: Clock) -> None:
        with connect(own_server.url) as client:
            bench = Workbench(Ledger(client, clock=clock), clock)
            bench.accept("call-1")
            own_server.stop()
            own_server.start()

            assert bench.accept("call-1") == "duplicate"
            assert bench.deliver(bench.take())

    def test_while_it_is_away_every_operation_says_so_and_quotes_nothing(
        self, own_server: Server, clock: Clock
    ) -> None:
        with connect(own_server.url) as client:
            bench = Workbench(Ledger(client, clock=clock), clock)
            bench.accept("call-1")
            own_server.kill()

            with pytest.raises(LedgerUnavailable, match=r"^Redis is unreachable") as caught:
                bench.accept("call-2")

            assert "call-2" not in str(caught.value)


class TestPromises:
    def test_the_server_is_asked_what_it_is_and_how_it_keeps_its_data(
        self, real_client: "redis.Redis", real_server: Server
    ) -> None:
        server = inspect(real_client)

        assert server.name.startswith(("Valkey 9.", "Redis 7."))
        assert (server.aof, server.appendfsync, server.eviction, server.replicas) == (True, "always", "noeviction", 0)
        assert keep("fsync", server).after_write == ()

    def test_a_server_that_forbids_config_is_asked_what_it_does_tell(self, real_client: "redis.Redis") -> None:
        real_client.execute_command("ACL", "SETUSER", "managed", "on", "nopass", "~*", "+@all", "-config")  # type: ignore[no-untyped-call] # redis-py\'s own
        path = real_client.connection_pool.connection_kwargs["path"]
        try:
            with redis.Redis(unix_socket_path=path, username="managed", password="") as client:
                server = inspect(client)
        finally:
            real_client.execute_command("ACL", "DELUSER", "managed")  # type: ignore[no-untyped-call] # redis-py\'s own

        assert server.aof
        assert server.appendfsync is None

    @pytest.mark.parametrize("may", ["+@all", "-info"])
    def test_a_replica_is_no_server_for_the_ledger(self, own_server: Server, may: str) -> None:
        with connect(own_server.url) as admin:
            admin.replicaof("127.0.0.1", "1")
            admin.execute_command("ACL", "SETUSER", "ada", "on", "nopass", "~*", "&*", "+@all", may)  # type: ignore[no-untyped-call] # redis-py's own
            with redis.Redis(unix_socket_path=str(own_server.socket), username="ada", password="") as client:
                with pytest.raises(LedgerUnavailable, match="is a replica and accepts no writes"):
                    inspect(client)

                wait_until(
                    lambda: len(admin.client_list()) == 1, "its connection, which leads here for ever, is closed"
                )

    def test_a_write_is_on_disk_when_waitaof_says_so(self, valkey: Server, prefix: str, clock: Clock) -> None:
        with connect(valkey.url) as client, configured(client, "appendfsync", "everysec"):
            kept = keep("fsync", inspect(client))
            ledger = Ledger(client, prefix=prefix, clock=clock, after_write=kept.after_write)

            assert kept.after_write[0] == "WAITAOF"
            assert ledger.run_durably(intake.tally({"written": 1})) == 0

    def test_always_is_not_trusted_where_the_server_syncs_nothing_while_it_rewrites_its_file(
        self, valkey: Server
    ) -> None:
        with connect(valkey.url) as client, configured(client, "no-appendfsync-on-rewrite", "yes"):
            found = inspect(client)

            assert found.appendfsync == "always"
            assert keep("fsync", found).after_write[0] == "WAITAOF"

    def test_redis_7_0_cannot_promise_that(self, redis7: Server) -> None:
        with connect(redis7.url) as client:
            if inspect(client).has_waitaof:
                pytest.skip("this Redis 7 is 7.2 or later, which knows WAITAOF")
            with (
                configured(client, "appendfsync", "everysec"),
                pytest.raises(BrokenPromise, match="CONFIG SET appendfsync always"),
            ):
                keep("fsync", inspect(client))

    @pytest.mark.parametrize("forgotten", [False, True], ids=["known script", "unknown script"])
    def test_a_write_that_no_replica_has_is_not_durable(
        self, real_client: "redis.Redis", prefix: str, clock: Clock, *, forgotten: bool
    ) -> None:
        ledger = Ledger(real_client, prefix=prefix, clock=clock, after_write=("WAIT", 1, 20))
        ledger.run(intake.tally({"written": 1}))
        if forgotten:
            real_client.script_flush()

        with pytest.raises(LedgerUnavailable, match="0 of 1 confirmed"):
            ledger.run_durably(intake.tally({"written": 1}))

        # Done all the same, and to be repeated without harm by whoever asked for it.
        assert ledger.run(watch.snapshot()).total("written") == 2

    def test_a_write_is_replicated_when_a_replica_has_it(self, prefix: str, clock: Clock) -> None:
        with (
            running(tcp=True, repl_diskless_sync_delay="0") as primary,
            running(replicaof=f"127.0.0.1 {primary.port}") as replica,
            connect(primary.url) as client,
            connect(replica.url) as reader,
        ):
            # The replica dials in by itself; WAIT is how to wait for it.
            assert client.execute_command("WAIT", 1, 10_000) == 1
            kept = keep("replicated:1", inspect(client))
            ledger = Ledger(client, prefix=prefix, clock=clock, after_write=kept.after_write)

            ledger.run_durably(intake.tally({"written": 1}))

            assert reader.hget(ledger.calls.keys.counters, "written") == b"1"

    def test_only_what_was_asked_to_be_durable_waits(
        self, real_client: "redis.Redis", prefix: str, clock: Clock
    ) -> None:
        ledger = Ledger(real_client, prefix=prefix, clock=clock, after_write=("WAIT", 1, 10_000))

        assert ledger.run(intake.tally({"written": 1})) == 0


class TestTheClock:
    def test_without_another_one_rediss_own_clock_counts(self, real_client: "redis.Redis", prefix: str) -> None:
        bench = Workbench(Ledger(real_client, prefix=prefix), Clock())
        before = redis_ms(real_client)

        bench.accept("call-1")

        assert before <= bench.record().accepted_ms <= redis_ms(real_client)
        assert before <= bench.snapshot().now_ms <= redis_ms(real_client)

    def test_with_another_one_that_one_counts(self, bench: Workbench) -> None:
        bench.clock.now_ms = 4_000_000_000_123

        bench.accept("call-1")

        assert bench.record().accepted_ms == 4_000_000_000_123

    def test_a_clock_that_went_back_breaks_nothing(self, bench: Workbench) -> None:
        bench.accept("call-1")
        bench.clock.advance(-60_000)
        bench.accept("call-2")

        for one in all_held(bench.claim().reports):
            bench.clock.advance(-1_000)
            assert bench.deliver(one)

        bench.inventory().check()
        assert bench.snapshot().balanced


class TestManyAtOnce:
    def test_callers_that_claim_at_the_same_time_never_get_the_same_report(
        self, real_server: Server, real_bench: Workbench
    ) -> None:
        ids = [f"call-{number}" for number in range(400)]
        real_bench.accept_all(*ids)
        found: list[str] = []

        def work() -> None:
            with connect(real_server.url) as client:
                ledger = Ledger(client, prefix=prefix_of(real_bench), clock=real_bench.clock)
                bench = Workbench(ledger, real_bench.clock)
                while reports := bench.claim(7).reports:
                    for one in all_held(reports):
                        assert bench.deliver(one)
                        found.append(one.call_id)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(found) == sorted(ids)
        assert real_bench.count("delivered") == 400

    def test_a_ledger_is_shared_between_threads(self, real_bench: Workbench) -> None:
        results: list[str] = []

        def work(start: int) -> None:
            results.extend(real_bench.accept(f"call-{number}") for number in range(start, start + 50))

        threads = [threading.Thread(target=work, args=(start,)) for start in (0, 25, 50, 75)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(results) == ["accepted"] * 125 + ["duplicate"] * 75


class TestErrors:
    def test_an_error_of_one_operation_is_raised_although_others_went_well(self, bench: Workbench) -> None:
        bench.ledger.client.set(bench.ledger.calls.keys.waiting, "not a sorted set")

        with pytest.raises(LedgerFault):
            bench.ledger.run_all([intake.tally({"counted": 1}), upkeep.promote(most=1)])

        bench.ledger.client.delete(bench.ledger.calls.keys.waiting)
        assert bench.count("counted") == 1

    def test_ledgers_under_other_prefixes_know_nothing_of_each_other(
        self, bench: Workbench, client: "redis.Redis"
    ) -> None:
        bench.accept("call-1")
        other = Workbench(Ledger(client, prefix=f"{prefix_of(bench)}-other", clock=bench.clock), bench.clock)

        assert other.look("call-1") is None
        assert other.accept("call-1") == "accepted"


def redis_ms(client: "redis.Redis") -> int:
    seconds, microseconds = client.time()
    return seconds * 1000 + microseconds // 1000


def prefix_of(bench: Workbench) -> str:
    return bench.ledger.calls.keys.records.partition("}")[0].strip("{")

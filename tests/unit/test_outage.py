"""What an outage takes, and how long what there is lasts: the figures, and the words for them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from roark_ledger.records.forecast import Inflow, bytes_waiting
from roark_ledger.records.snapshot import Memory
from roark_ops.cli.app import app
from roark_ops.cli.terminal.sizes import bytes_of, size
from roark_ops.outage import FullestNode, Load, Provision, fullest_of, lasts_in_words, packed_bytes_of, plan_outage

GB = 10**9
DAY = 86_400
A_DAY = Load(per_second=100, seconds=DAY, packed_bytes=10_000)


@pytest.fixture
def nothing_from_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ROARK_INGEST_REDIS_URL", "ROARK_INGEST_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


def test_memory_is_for_all_reports_beside_what_is_used_and_below_the_share_at_which_redis_refuses() -> None:
    plan = plan_outage(A_DAY, Provision(used=5 * GB))
    assert plan.reports == 8_640_000
    assert plan.memory_bytes == pytest.approx((5 * GB + 8_640_000 * bytes_waiting(10_000)) / 0.85)
    assert plan.memory_seconds is plan.spool_seconds is plan.refused_seconds is None


def test_what_does_not_fit_spools_on_each_webhook_and_then_is_refused() -> None:
    plan = plan_outage(A_DAY, Provision(most=64 * GB, spool_bytes=10 * GB, webhooks=2))
    assert plan.memory_seconds == pytest.approx(0.85 * 64 * GB / bytes_waiting(10_000) / 100)
    assert plan.spool_seconds == pytest.approx(2 * 10 * GB / 10_150 / 100)
    assert plan.refused_seconds == pytest.approx(DAY - plan.memory_seconds - plan.spool_seconds)
    assert plan.spooled_bytes == 10 * GB


@pytest.mark.parametrize(
    "room",
    [
        lambda plan: Provision(most=plan.memory_bytes + 1000),
        lambda plan: Provision(most=64 * GB, spool_bytes=plan.spool_needed_bytes + 1000, webhooks=2),
        lambda plan: Provision(most=64 * GB, spool_bytes=10 * GB, webhooks=plan.webhooks_needed),
    ],
)
def test_with_what_it_says_is_needed_nothing_is_refused(room: object) -> None:
    needed = plan_outage(A_DAY, Provision(most=64 * GB, spool_bytes=10 * GB, webhooks=2))
    assert needed.refused_seconds
    assert callable(room)
    assert plan_outage(A_DAY, room(needed)).refused_seconds == 0


@given(
    st.floats(0.001, 10_000),
    st.floats(1, 10**7),
    st.floats(50, 10**7),
    st.integers(0, 10**13),
    st.integers(0, 10**12),
    st.integers(0, 10**12),
    st.integers(1, 100),
)
def test_the_times_are_those_of_the_whole_outage_and_never_negative(
    rate: float, seconds: float, packed: float, most: int, used: int, spool: int, webhooks: int
) -> None:
    plan = plan_outage(Load(rate, seconds, packed), Provision(most, used, spool, webhooks))
    times = (plan.memory_seconds, plan.spool_seconds, plan.refused_seconds)
    if most == 0:
        assert times == (None, None, None)
        return
    assert all(each is not None and each >= 0 for each in times)
    assert sum(each or 0 for each in times) == pytest.approx(seconds)


@pytest.mark.parametrize(("sent", "kept"), [(16_000, 3_050), (49_000, 7_730), (80_000, 10_700), (504_000, 49_000)])
def test_the_size_as_kept_is_near_what_was_measured_of_made_up_reports(sent: int, kept: int) -> None:
    assert packed_bytes_of(sent) == pytest.approx(kept, rel=0.12)


def memory(**more: object) -> Memory:
    given = {"used": GB, "most": 10 * GB, "growth_per_second": 0.0, "short": False, "intake": Inflow(100, 10_000)}
    return Memory(**(given | more))  # type: ignore[arg-type] # as the test wants


def test_the_forecast_is_told_for_todays_rate_and_for_twice_the_memory() -> None:
    lasts = memory().outage_seconds()
    assert lasts == pytest.approx((8.5 * GB - GB) / (100 * bytes_waiting(10_000)))
    assert lasts_in_words(FullestNode(memory())) == (
        "memory lasts 1 h 48 min at today's rate (100 reports/s of 10 kB as stored), 3 h 52 min with twice as much"
    )


def test_on_a_cluster_it_is_said_that_more_nodes_add_no_room() -> None:
    told = lasts_in_words(FullestNode(memory(), "node-2:6379"))
    assert told.endswith("3 h 52 min with twice as much on node-2:6379; more nodes add none, as the ledger is on one")
    assert told.startswith(lasts_in_words(FullestNode(memory())))


def test_with_partitions_the_node_counts_that_is_full_first_and_what_more_nodes_give() -> None:
    light, heavy = memory(intake=Inflow(10, 10_000)), memory(used=2 * GB, intake=Inflow(50, 10_000))
    fullest = fullest_of([("node-1:1", light), ("node-2:2", heavy), ("node-2:2", heavy), ("node-2:2", heavy)])

    assert (fullest.node, fullest.partitions, fullest.all_partitions, fullest.nodes) == ("node-2:2", 3, 4, 2)
    assert fullest.memory.intake == Inflow(150, 10_000)
    each = bytes_waiting(10_000)
    assert fullest.memory.outage_seconds() == pytest.approx((8.5 * GB - 2 * GB) / (150 * each))
    assert fullest.seconds_with(1) == pytest.approx((8.5 * GB - 2 / 3 * 2 * GB) / (100 * each))
    assert fullest.seconds_with(2) == pytest.approx((8.5 * GB - 1 / 3 * 2 * GB) / (50 * each))
    assert lasts_in_words(fullest) == (
        "memory lasts 1 h 2 min at today's rate (150 reports/s of 10 kB as stored on node-2:2, which has 3 of 4 "
        "partitions), 2 h 25 min with twice as much, 1 h 44 min with 1 more node, 3 h 47 min with 2 more nodes"
    )
    endless = lasts_in_words(fullest_of([("node-1:1", memory(most=0)), ("node-2:2", memory(most=0))]))
    assert endless.endswith("(100 reports/s of 10 kB as stored on node-1:1, which has 1 of 2 partitions)")


@pytest.mark.parametrize("more", [{"intake": None}, {"intake": Inflow(0, 10_000)}, {"most": 0, "intake": None}])
def test_where_no_rate_is_known_nothing_is_told(more: dict[str, object]) -> None:
    assert memory(**more).outage_seconds() is None
    assert lasts_in_words(FullestNode(memory(**more))) == ""


def test_without_a_maxmemory_the_cause_is_told_instead_of_a_time() -> None:
    assert memory(most=0).outage_seconds() is None
    for node in ("", "node-2:6379"):
        assert lasts_in_words(FullestNode(memory(most=0), node)) == (
            "no estimate: Redis has no maxmemory, so it takes reports until its machine has no memory left "
            "(100 reports/s of 10 kB as stored)"
        )


def test_a_memory_that_is_full_lasts_no_second_and_of_one_for_a_month_no_more_than_that_is_told() -> None:
    assert memory(used=9 * GB).outage_seconds() == 0
    told = lasts_in_words(FullestNode(memory(intake=Inflow(0.01, 10_000))))
    assert told == "memory lasts more than a month at today's rate (0.01 reports/s of 10 kB as stored)"


@pytest.mark.parametrize(
    ("text", "number"), [("60kB", 60_000), ("1.5 MB", 1_500_000), ("16gb", 16 * GB), ("4GiB", 4 * 2**30), ("500", 500)]
)
def test_a_size_is_read_as_people_type_it(text: str, number: int) -> None:
    assert bytes_of(text, "--size") == number


def test_a_size_is_told_with_three_digits() -> None:
    told = [size(number) for number in (0, 999, 1000, 9_304, 107.4 * GB, 1.5 * 10**12)]
    assert told == ["0 bytes", "999 bytes", "1 kB", "9.3 kB", "107 GB", "1.5 TB"]


@pytest.mark.usefixtures("nothing_from_this_machine")
def test_the_command_needs_no_ledger_where_all_is_given() -> None:
    given = ["--rate", "100/s", "--size", "60kB", "--memory", "64GB", "--spool", "5GB", "--webhooks", "2"]
    found = json.loads(CliRunner().invoke(app, ["plan", *given, "--json"]).stdout)
    assert found["reports"] == 8_640_000
    assert found["memory_bytes"] == pytest.approx(109 * GB, rel=0.01)
    assert found["refused_seconds"] > 0
    assert len(found["advice"]) == 3
    told = CliRunner().invoke(app, ["plan", *given]).stdout
    assert "109 GB of maxmemory keep all of them in Redis" in told
    assert f"ROARK_INGEST_SPOOL_MAX_BYTES={found['spool_needed_bytes']} on each of 2 webhooks" in told
    plenty = CliRunner().invoke(app, ["plan", "--rate", "1/s", "--size", "60kB", "--memory", "64GB"]).stdout
    assert "64 GB of maxmemory: enough for all of it" in plenty


@pytest.mark.usefixtures("nothing_from_this_machine")
@pytest.mark.parametrize("given", [["--rate", "fast"], ["--size", "60 stone"], ["--outage", "long"], ["--rate", "9/s"]])
def test_the_command_says_what_it_cannot_read_or_lacks(given: list[str]) -> None:
    ended = CliRunner().invoke(app, ["plan", *given])
    assert ended.exit_code in {1, 2}
    assert "Traceback" not in ended.output

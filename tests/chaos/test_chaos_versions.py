"""The last version's own code and this one on one Redis, under load: a rolling upgrade, a rolling way back, and a split
of the ledger, which the last version knows nothing of."""

from pathlib import Path

import pytest
from chaos_line import HERE, MAX_IN_FLIGHT, Line
from constants import with_constants
from last_version import LAST, python_path, unpacked

COMMAND = "from roark_ops.cli import main; main()"


@pytest.mark.chaos
@pytest.mark.parametrize(("way", "seed"), [("up", 71), ("down", 72)])
def test_two_versions_share_a_redis_and_take_turns(way: str, seed: int, tmp_path: Path) -> None:
    versions = [with_constants(python_path(unpacked(tmp_path)), str(HERE)), with_constants(str(HERE))]
    first, then = versions if way == "up" else reversed(versions)
    with Line(f"{LAST} and this version at once for 30 s, rolled {way}", seed=seed) as line:
        line.environment["PYTHONPATH"] = first
        line.start(number=3600, workers=2)
        before = line.workers[:]
        line.environment["PYTHONPATH"] = then
        with line.fault():
            line.start_workers(2)
            line.some_time(8, 10)
            # One of those that came first dies, and leaves what it had to the others.
            line.kill(before[0])
            line.some_time(4, 6)
            assert line.webhook
            line.webhook.terminate()
            assert line.webhook.exit_code() == 0
            line.start_webhook()
            line.some_time(8, 10)
            before[1].terminate()
            line.workers.remove(before[1])
            assert before[1].exit_code() == 0
        line.replay_poison()
        line.prove()
        assert "Traceback" not in "".join(process.log for process in line.processes)


@pytest.mark.chaos
def test_the_last_version_says_no_and_writes_nothing_where_the_ledger_was_split_without_it(tmp_path: Path) -> None:
    old, new = with_constants(python_path(unpacked(tmp_path)), str(HERE)), with_constants(str(HERE))
    with Line(f"the ledger is split into 4 while {LAST} runs", seed=73) as line:
        line.environment["PYTHONPATH"] = old
        line.start(number=1500, workers=2)
        before = line.workers[:]
        line.environment["PYTHONPATH"] = new
        with line.fault():
            line.in_flight += MAX_IN_FLIGHT * len(before)
            split = line.run("partition", "-c", COMMAND, "partition", "4", "--one-server", "--yes")
            assert split.exit_code() == 0, split.log
            assert line.webhook
            webhook, seen = line.webhook, line.snapshot()
            # Loudly, and nobody gets a yes: senders send again.
            line.until(lambda: "accept_failed" in webhook.log, "the webhook says so")
            line.until(lambda: all("tick_failed" in worker.log for worker in before), "the workers say so")
            line.some_time(2, 3)
            assert line.snapshot().total("accepted") == seen.total("accepted")
            assert line.snapshot().rejected_kept == 0
            webhook.terminate()
            assert webhook.exit_code() == 0
            line.kill(*before)
            line.start_webhook()
            line.start_workers(2)
        line.replay_poison()
        line.prove()
        assert line.snapshot().partitions == 4

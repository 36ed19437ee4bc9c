"""A rolling upgrade, and a rolling way back: the last version's own code and this one on one Redis, under load."""

from pathlib import Path

import pytest
from chaos_line import HERE, Line
from constants import with_constants
from last_version import LAST, python_path, unpacked


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

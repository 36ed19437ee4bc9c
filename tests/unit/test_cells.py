"""Numbers that several processes count together: nothing counted is lost with a process, states are of the living."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roark_worker.metrics.cells import Layout, take, total

LAYOUT = Layout("test", size=3, gauges=1)
COUNTING = """
import sys
from pathlib import Path
from roark_worker.metrics.cells import Layout, take
cells = take(Path(sys.argv[1]), Layout("test", size=3, gauges=1))
for place, number in enumerate(sys.argv[2:]):
    cells[place] += float(number)
print("counted", flush=True)
sys.stdin.read()
"""


@contextmanager
def counting(folder: Path, *numbers: float) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a process that adds these numbers and then lives until the block ends, when it is killed."""
    command = [sys.executable, "-c", COUNTING, str(folder), *map(str, numbers)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"counted\n"
        yield process
        process.kill()


def test_an_empty_folder_is_all_zero(tmp_path: Path) -> None:
    assert total(tmp_path, LAYOUT) == [0, 0, 0]


def test_what_living_processes_count_is_added_up(tmp_path: Path) -> None:
    with counting(tmp_path, 1, 2, 3), counting(tmp_path, 10, 20, 30):
        assert total(tmp_path, LAYOUT) == [11, 22, 33]


def test_what_a_killed_process_counted_stays_and_its_gauges_go(tmp_path: Path) -> None:
    with counting(tmp_path, 1, 2, 3):
        pass
    assert total(tmp_path, LAYOUT) == [1, 2, 0]


def test_the_next_process_goes_on_where_the_dead_one_stopped(tmp_path: Path) -> None:
    for _ in range(3):
        with counting(tmp_path, 1, 2, 3):
            pass
    with counting(tmp_path, 1, 2, 3):
        assert total(tmp_path, LAYOUT) == [4, 8, 3]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_process_of_another_version_counts_for_itself(tmp_path: Path) -> None:
    with counting(tmp_path, 1, 2, 3):
        other = take(tmp_path, Layout("other", size=2, gauges=0))
        other[0] = 5
        assert total(tmp_path, LAYOUT) == [1, 2, 3]
        assert total(tmp_path, Layout("other", size=2, gauges=0)) == [5, 0]


def test_a_file_that_is_only_being_made_has_nothing_to_tell(tmp_path: Path) -> None:
    (tmp_path / "test-0.cells").write_bytes(b"\0" * 7)
    assert total(tmp_path, LAYOUT) == [0, 0, 0]

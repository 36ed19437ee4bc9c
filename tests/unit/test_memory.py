"""What control groups say of the memory that a process may take."""

from pathlib import Path

import pytest

from roark_producer.memory import memory_limit

MB = 1_000_000


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"memory.max": "300000000\n"}, 300 * MB),
        ("0::/app.slice/app.service\n", {"app.slice/app.service/memory.max": "300000000"}, 300 * MB),
        (
            "0::/app.slice/app.service\n",
            {"app.slice/memory.max": "200000000", "app.slice/app.service/memory.max": "max"},
            200 * MB,
        ),
        ("0::/../../docker/abc\n", {"memory.max": "300000000"}, 300 * MB),
        ("4:cpu,memory:/docker/abc\n0::/\n", {"memory/memory.limit_in_bytes": "300000000"}, 300 * MB),
        (
            "4:memory:/docker/abc\n",
            {
                "memory/memory.limit_in_bytes": "9223372036854771712",
                "memory/docker/abc/memory.limit_in_bytes": "1000000",
            },
            MB,
        ),
    ],
)
def test_the_strictest_limit_holds(tmp_path: Path, groups: str, files: dict[str, str], expected: int) -> None:
    tree = written(tmp_path / "tree", files)
    (tmp_path / "cgroup").write_text(groups)

    assert memory_limit(tree, tmp_path / "cgroup") == expected


@pytest.mark.parametrize("text", ["max", "9223372036854771712", "", "rubbish"])
def test_without_a_limit_it_is_the_machines_memory(tmp_path: Path, text: str) -> None:
    tree = written(tmp_path / "tree", {"memory.max": text})
    (tmp_path / "cgroup").write_text("0::/\n")
    without_groups = memory_limit(tmp_path / "none", tmp_path / "none")

    assert memory_limit(tree, tmp_path / "cgroup") == without_groups
    assert 100 * MB < without_groups < 10**14

"""How much memory this process may take: the container's limit, or the machine's memory where there is none.

Control groups tell it: version 2 in `memory.max`, version 1 in `memory.limit_in_bytes`; the strictest of a group and
those above it holds. In a container the group's own path is often not there, and what is mounted is the container's.
"""

import os
from functools import cache
from pathlib import Path

_SHARE = 0.9
_TREE = Path("/sys/fs/cgroup")
_GROUPS = Path("/proc/self/cgroup")


def memory_limit(tree: Path = _TREE, groups: Path = _GROUPS) -> int:
    """Return the limit in bytes."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine, *_limits(tree, groups)])


@cache
def usable_memory() -> int:
    """Return what may be planned with, read once: a tenth of the limit is left for what nobody plans."""
    return int(memory_limit() * _SHARE)


def _limits(tree: Path, groups: Path) -> list[int]:
    try:
        lines = groups.read_text("ascii", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            found += _along(tree, path, "memory.max")
        elif "memory" in controllers.split(","):
            found += _along(tree / "memory", path, "memory.limit_in_bytes")
    return found


def _along(root: Path, path: str, name: str) -> list[int]:
    # Paths that lead out of the container's own tree begin with "/..".
    parts = [part for part in path.split("/") if part not in {"", ".."}]
    folders = [root.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]
    return [limit for folder in folders if (limit := _number(folder / name))]


def _number(path: Path) -> int:
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return 0
    return int(text) if text.isdigit() else 0

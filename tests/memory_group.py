"""A control group with a limit of memory, as a container has one; whoever takes more in it is killed by the kernel."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

_TREE = Path("/sys/fs/cgroup")


class MemoryGroup:
    """Of version 2 where that is what the machine has, else of version 1. Skips the test where none can be made."""

    def __init__(self, megabytes: int) -> None:
        self._first = (_TREE / "memory").is_dir()
        self._folder = (_TREE / "memory" if self._first else _TREE) / f"roark-ingest-test-{os.getpid()}"
        self._bytes = megabytes * 1_000_000

    def __enter__(self) -> Self:
        limits = ("memory.limit_in_bytes",) if self._first else ("memory.max", "memory.swap.max")
        try:
            self._folder.mkdir()
            (self._folder / limits[0]).write_text(str(self._bytes))
            for swap in limits[1:]:
                (self._folder / swap).write_text("0")
        except OSError as error:
            if self._folder.exists():
                self._folder.rmdir()
            pytest.skip(f"no control group can be made here: {error}")
        return self

    def around(self, *arguments: str) -> tuple[str, ...]:
        """Return the arguments of a Python that goes into the group and then is what `arguments` say."""
        enter = f"import os, sys; open({str(self._folder / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))"
        return ("-c", f"{enter}; os.execv(sys.executable, [sys.executable, *{arguments!r}])")

    @property
    def kills(self) -> int:
        """How many processes the kernel has killed in it."""
        text = (self._folder / ("memory.oom_control" if self._first else "memory.events")).read_text()
        return int(dict(line.split() for line in text.splitlines())["oom_kill"])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pid in (self._folder / "cgroup.procs").read_text().split():
            (_TREE / ("memory" if self._first else "") / "cgroup.procs").write_text(pid)
        self._folder.rmdir()

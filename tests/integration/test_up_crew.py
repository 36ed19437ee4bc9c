"""Real processes under `up`'s care: started, kept alive, ended in order, never left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from roark_ops.up.crew import Crew
from roark_ops.up.processes import Part, PartFailed
from roark_producer.process.orphans import bound_to_this_process

DEADLINE_SECONDS = 10
READY_AND_WAITING = "import signal; print('ready', flush=True); signal.pause()"
READY_AND_STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, lambda *_: print('no', flush=True)); "
    "print('ready', flush=True)\nwhile True: signal.pause()"
)


def part(
    tmp_path: Path, name: str, program: str, *, end_seconds: float = DEADLINE_SECONDS, expendable: bool = False
) -> Part:
    async def command() -> list[str]:
        return [sys.executable, "-c", f"import os; print('pid', os.getpid(), flush=True)\n{program}"]

    return Part(
        name=name,
        command=command,
        log=tmp_path / f"{name}.log",
        is_ready=lambda said: "ready" in said,
        environment=os.environ,
        end_seconds=end_seconds,
        start_seconds=DEADLINE_SECONDS,
        is_expendable=expendable,
    )


def pids(tmp_path: Path, name: str) -> list[int]:
    lines = (tmp_path / f"{name}.log").read_text().splitlines()
    return [int(line.split()[1]) for line in lines if line.startswith("pid ")]


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110 other processes set no event
            await asyncio.sleep(0.01)


async def end(crew: Crew, *order: str, insisted: bool = False) -> None:
    patience = asyncio.Event()
    if insisted:
        patience.set()
    await crew.end(patience, order)


async def test_a_part_is_started_when_it_says_that_it_is_ready(tmp_path: Path) -> None:
    crew = Crew([].append)

    await crew.start(part(tmp_path, "one", READY_AND_WAITING))

    assert is_alive(pids(tmp_path, "one")[0])
    await end(crew, "one")
    assert not is_alive(pids(tmp_path, "one")[0])


async def test_a_part_that_ends_before_it_is_ready_fails_with_its_last_words(tmp_path: Path) -> None:
    crew = Crew([].append)

    with pytest.raises(PartFailed, match=r"the one exited with code 7(.|\n)*because of this"):
        await crew.start(part(tmp_path, "one", "print('because of this'); raise SystemExit(7)"))


async def test_nobody_waits_for_the_start_of_a_part_that_is_expendable(tmp_path: Path) -> None:
    crew = Crew([].append)

    await crew.start(part(tmp_path, "slow", "import signal; signal.pause()", expendable=True))

    await end(crew, "slow")


async def test_a_part_that_is_killed_is_started_again_and_that_is_said(tmp_path: Path) -> None:
    # given a part that is kept
    said: list[str] = []
    crew = Crew(said.append)
    await crew.start(part(tmp_path, "one", READY_AND_WAITING))
    keeping = asyncio.create_task(crew.keep())

    # when it is killed
    os.kill(pids(tmp_path, "one")[0], signal.SIGKILL)

    # then another one takes its place
    await until(lambda: len(pids(tmp_path, "one")) == 2)
    keeping.cancel()
    assert "one: was killed by signal 9, restarting in 0.25 s" in said[0]
    await end(crew, "one")


async def test_parts_end_in_the_order_that_is_given(tmp_path: Path) -> None:
    # given parts that note when they end
    order = tmp_path / "order"
    crew = Crew([].append)
    for name in ("server", "worker", "webhook"):
        noting = (
            f"import signal, sys; signal.signal(signal.SIGTERM, lambda *_: "
            f"(open({str(order)!r}, 'a').write('{name} '), sys.exit())); print('ready', flush=True); signal.pause()"
        )
        await crew.start(part(tmp_path, name, noting))

    await end(crew, "webhook", "worker", "server")

    assert order.read_text().split() == ["webhook", "worker", "server"]


async def test_a_part_that_does_not_end_in_its_time_is_killed_and_that_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    crew = Crew(said.append)
    await crew.start(part(tmp_path, "stubborn", READY_AND_STUBBORN, end_seconds=0.2))

    await end(crew, "stubborn")

    assert not is_alive(pids(tmp_path, "stubborn")[0])
    assert "stubborn: did not stop in time and was killed" in said[-1]


async def test_who_insists_does_not_wait_for_a_part(tmp_path: Path) -> None:
    crew = Crew([].append)
    await crew.start(part(tmp_path, "stubborn", READY_AND_STUBBORN))

    before = time.monotonic()
    await end(crew, "stubborn", insisted=True)

    assert time.monotonic() - before < DEADLINE_SECONDS / 2
    assert not is_alive(pids(tmp_path, "stubborn")[0])


async def test_a_long_log_is_put_aside_when_its_part_starts(tmp_path: Path) -> None:
    (tmp_path / "one.log").write_bytes(b"." * 10_000_001)
    crew = Crew([].append)

    await crew.start(part(tmp_path, "one", READY_AND_WAITING))

    assert (tmp_path / "one.log.1").stat().st_size == 10_000_001
    assert (tmp_path / "one.log").stat().st_size < 1000
    await end(crew, "one")


async def test_a_process_dies_with_the_one_that_started_it_even_if_that_is_killed(tmp_path: Path) -> None:
    # given a process that started another one, which lives in a session of its own
    pid_file = tmp_path / "pid"
    command = bound_to_this_process([sys.executable, "-c", "import signal; signal.pause()"])
    starting = (
        "import os, signal, subprocess, sys\n"
        f"command = {command[:4]!r} + [str(os.getpid())] + {command[5:]!r}\n"
        "child = subprocess.Popen(command, start_new_session=True)\n"
        f"open({str(pid_file)!r}, 'w').write(str(child.pid)); signal.pause()"
    )
    parent = subprocess.Popen([sys.executable, "-c", starting])  # noqa: ASYNC220 a moment
    await until(lambda: pid_file.exists() and pid_file.read_text() != "")
    child = int(pid_file.read_text())
    assert is_alive(child)

    # when the first is killed
    parent.kill()
    parent.wait()

    # then so is the second
    await until(lambda: not is_alive(child))

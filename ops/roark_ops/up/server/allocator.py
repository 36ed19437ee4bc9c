"""Which allocator the embedded server works with: jemalloc where this machine has it, else glibc's, told to reuse.

Most builds of Redis and Valkey have jemalloc in them, the one in the wheel has not. By itself glibc keeps seven freed
pieces of a size at hand and after them takes the oldest of all, and looks through the pieces that payloads leave: with
a million reports waiting all of these are cold. ARCHITECTURE.md has the figures.

Nothing of this is forced on anybody: an LD_PRELOAD of the user's, even an empty one, is left as it is.
"""

import ctypes.util
import subprocess
from collections.abc import Mapping
from pathlib import Path

_REUSE = "glibc.malloc.tcache_count=65535"
_PATIENCE_SECONDS = 10


def allocator(program: Path, base: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to add to `base` for a server that is this program. What `base` says already counts more."""
    jemalloc = None if "LD_PRELOAD" in base else ctypes.util.find_library("jemalloc")
    if jemalloc and _runs(program, {**base, "LD_PRELOAD": jemalloc}):
        return {"LD_PRELOAD": jemalloc}
    # Elsewhere than with glibc nobody reads this.
    return {"GLIBC_TUNABLES": ":".join(filter(None, (_REUSE, base.get("GLIBC_TUNABLES"))))}


def _runs(program: Path, environment: Mapping[str, str]) -> bool:
    # One that cannot be loaded is a complaint on stderr, one made for other pages of memory ends the program.
    try:
        trial = subprocess.run(  # noqa: S603 our own program
            [program, "--version"], env=environment, capture_output=True, timeout=_PATIENCE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return trial.returncode == 0 and not trial.stderr

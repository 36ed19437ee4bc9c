"""Constants of the product in processes that a test starts: what production leaves to minutes takes tenths of a second.

    environment |= {"PYTHONPATH": with_constants(), "ROARK_INGEST_TICK_SECONDS": "0.2"}

In its own process a test passes them as arguments: `WorkerSettings(tick_seconds=0.2)`.
"""

import os
from pathlib import Path

_FOLDER = str(Path(__file__).parent / "constants_from_environment")


def with_constants(*folders: str) -> str:
    """Return the PYTHONPATH with which a process, and all that it starts, takes constants from its environment."""
    return os.pathsep.join((*folders, _FOLDER))

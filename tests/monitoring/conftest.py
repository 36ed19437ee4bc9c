"""One watched run for all tests of this folder."""

from collections.abc import Iterator

import pytest
from watched_run import Run, watched_run


@pytest.fixture(scope="session")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The run, after its end; Prometheus still answers."""
    with watched_run(tmp_path_factory.mktemp("prometheus")) as run:
        yield run

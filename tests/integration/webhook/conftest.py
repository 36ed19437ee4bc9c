"""A webhook on a server of its own, for all tests of a module or for one that does it harm."""

import gc
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from webhook_process import Valkey, Webhook, ids, start

from roark_ledger.ledger import Ledger
from roark_ledger.server.connection import connect


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    with tempfile.TemporaryDirectory(prefix="roark-") as folder:
        server = Valkey(Path(folder))
        server.start()
        yield server
        server.stop()


@pytest.fixture
def own_valkey() -> Iterator[Valkey]:
    """A server that is not running yet, for tests that do it harm."""
    with tempfile.TemporaryDirectory(prefix="roark-") as folder:
        server = Valkey(Path(folder))
        yield server
        server.stop()


@pytest.fixture(scope="module")
def webhook(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webhook]:
    with start(
        tmp_path_factory.mktemp("webhook"),
        valkey.url,
        properties_from_query="tenant,campaign",
        properties_from_report='{"ended": "endedReason"}',
    ) as running:
        yield running


@pytest.fixture(scope="module")
def ledger(valkey: Valkey) -> Iterator[Ledger]:
    with connect(valkey.url) as client:
        yield Ledger(client)


@pytest.fixture
def call_id() -> str:
    return next(ids)


@pytest.fixture(autouse=True)
def _sockets_of_servers_that_hung_up() -> Iterator[None]:
    """Collect what httpcore leaves of such connections here, not in the middle of some other test."""
    yield
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="unclosed <socket", category=ResourceWarning)
        gc.collect()

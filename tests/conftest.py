"""What all tests share: servers, one ledger per backend, a clock that stands still, hypothesis's profiles."""

import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from functools import cache
from itertools import count
from pathlib import Path

import pytest
import redis
import tables
import typer.testing
from clocks import Clock
from fakeredis import FakeAsyncRedis, FakeStrictRedis
from fakes import ScriptingFakeServer
from hypothesis import Phase, settings
from servers import Server, redis7_binary, running

from roark_ledger.ledger import AsyncLedger, Ledger
from roark_ledger.server.connection import connect, connect_async

# The same examples in each run, here and in CI. To search further: HYPOTHESIS_PROFILE=long.
# CI says that an example fails and leaves shrinking it to people: on a slow machine that takes longer than all tests.
FIND_ONLY = (Phase.explicit, Phase.reuse, Phase.generate)
settings.register_profile("steady", derandomize=True, deadline=None, max_examples=100)
settings.register_profile("ci", settings.get_profile("steady"), phases=FIND_ONLY)
settings.register_profile("long", deadline=None, max_examples=3000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "steady"))

# A shell that starts the tests in its background hands on that Ctrl-C is ignored, to all that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# What nohup ignores, a process that it starts goes on ignoring.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# As after `. .venv/bin/activate`: what commands print names them by their name alone.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

# A CliRunner builds all commands anew for each one that it runs, which takes longer than most of them do.
typer.testing._get_command = cache(typer.main.get_command)

REAL = ("valkey", "redis7")
# No installation has a fakeredis, and it takes several times as long: `make servers` tries it.
EVERY = (pytest.param("fakeredis", marks=pytest.mark.servers), *REAL)
_prefixes = (f"test-{number}" for number in count())


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> None:
    tables.hand_over(item)


def pytest_collection_finish() -> None:
    # Some thousand tests and their modules stay to the end: no search for garbage has to go through them each time.
    gc.collect()
    gc.freeze()


@pytest.fixture
def prefix() -> str:
    """A ledger's prefix that no other test of this run has used."""
    return next(_prefixes)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def valkey() -> Iterator[Server]:
    """A Valkey 9 for the whole run."""
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def redis7() -> Iterator[Server]:
    """This machine's Redis 7 for the whole run; without one its tests are skipped, or fail where CI demands it."""
    with running(binary=redis7_binary()) as server:
        yield server


@pytest.fixture(scope="session")
def fakeredis_server() -> ScriptingFakeServer:
    return ScriptingFakeServer()


@pytest.fixture(params=REAL)
def real_server(request: pytest.FixtureRequest) -> Server:
    """A real server: each of them in turn."""
    server: Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def real_client(real_server: Server) -> Iterator["redis.Redis"]:
    with connect(real_server.url) as client:
        yield client


@pytest.fixture(params=EVERY)
def client(request: pytest.FixtureRequest) -> Iterator["redis.Redis"]:
    """A client of each backend in turn."""
    if request.param == "fakeredis":
        with FakeStrictRedis(server=request.getfixturevalue("fakeredis_server")) as fake:
            yield fake
        return
    with connect(request.getfixturevalue(request.param).url) as real:
        yield real


@pytest.fixture
def ledger(client: "redis.Redis", prefix: str, clock: Clock) -> Ledger:
    """An empty ledger on each backend in turn."""
    return Ledger(client, prefix=prefix, clock=clock)


@pytest.fixture
def real_ledger(real_client: "redis.Redis", prefix: str, clock: Clock) -> Ledger:
    """An empty ledger on each real server in turn."""
    return Ledger(real_client, prefix=prefix, clock=clock)


@pytest.fixture(params=EVERY)
async def async_ledger(request: pytest.FixtureRequest, prefix: str, clock: Clock) -> AsyncIterator[AsyncLedger]:
    """An empty ledger for asyncio callers, on each backend in turn."""
    client: redis.asyncio.Redis
    if request.param == "fakeredis":
        client = FakeAsyncRedis(server=request.getfixturevalue("fakeredis_server"))
    else:
        client = connect_async(request.getfixturevalue(request.param).url)
    ledger = AsyncLedger(client, prefix=prefix, clock=clock)
    yield ledger
    await ledger.aclose()

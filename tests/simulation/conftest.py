"""A server for the simulations, and their table at the end of the run.

They run on Valkey, which is four times faster at it than fakeredis; its clock counts for nothing, so the time is as
virtual as it would be there.
"""

import itertools
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict

import pytest
import redis
import tables
from figures import Figures, figures, table
from pipeline_in_virtual_time import World
from servers import running
from simulated_roark import SimulatedRoark

from roark_ledger.server.connection import connect


@pytest.fixture(scope="session")
def quick_client() -> Iterator["redis.Redis"]:
    """A client of a Valkey that keeps nothing on disk."""
    with running(appendonly="no") as server, connect(server.url) as client:
        yield client


@pytest.fixture(autouse=True)
def _without_a_line_for_each_attempt(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="roark_worker")


@pytest.fixture
def simulate(quick_client: "redis.Redis", prefix: str) -> Callable[..., World]:
    """Make a world; further arguments are the worker's settings."""
    number = itertools.count()

    def made(roark: SimulatedRoark, *, workers: int = 2, partitions: int = 1, **settings: object) -> World:
        name = f"simulated-{prefix}-{next(number)}"
        return World(quick_client, name, roark, workers=workers, partitions=partitions, options=settings)

    return made


@pytest.fixture
def count() -> Callable[..., Figures]:
    """Count a run that is over, print its row, and keep it for the table."""

    def counted(scenario: str, world: World, **options: float) -> Figures:
        row = figures(scenario, world, **options)
        print("\n".join(table([row])))
        tables.note("simulated", asdict(row))
        return row

    return counted


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = [Figures(**row) for row in tables.rows(terminalreporter, "simulated")]
    if rows:
        terminalreporter.section("simulated Roark, virtual seconds")
        terminalreporter.write_line("\n".join(table(rows)))

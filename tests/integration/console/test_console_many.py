"""A hundred thousand dead letters at the console: each page costs a twentieth of a second of its CPU at most, and fifty
tabs cost Redis no more than one.

Figures are the console's own CPU, for the clock goes on while a busy machine lets it wait; the clock's are printed.
"""

import os
import random
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from pipeline import cpu_seconds, wait_until
from redis import Redis
from servers import running

from roark_ledger.ids import CallId
from roark_ledger.ledger import Ledger
from roark_ledger.moves import delivery, intake
from roark_ledger.moves.delivery import Bury, Held
from roark_ledger.moves.intake import Acceptable
from roark_ledger.packing import pack
from roark_ledger.server.connection import connect

pytestmark = [pytest.mark.many, pytest.mark.timeout(900)]

MANY, ASSISTANTS, TENANTS = 100_000, 9, 50
AT_ONCE = 500
TIMES = 15
MOST_MS = 50.0
TABS = 50
SECONDS = 10.0
CALL = f"0193b2c4-6f1d-7c3e-9a55-{MANY // 2:012d}"
PAGES = (
    "/",
    "/causes",
    "/reports",
    "/reports?state=dead",
    "/reports?state=dead&reason=http_4*",
    "/reports?state=dead&assistant=A3",
    "/reports?state=dead&text=t49",
    "/reports?state=dead&property=tenant%3Dt7",
    f"/call?id={CALL}",
    "/replays",
    "/rejected",
    "/uploads",
    "/receipts",
    "/log",
    "/health",
)


def report(number: int) -> Acceptable:
    properties = b'{"tenant":"t%d","campaign":"spring"}' % (number % TENANTS)
    payload = b'{"call":{"assistantId":"A%d"},"transcript":"%b"}' % (number % ASSISTANTS, b"so " * 300)
    call_id = CallId(f"0193b2c4-6f1d-7c3e-9a55-{number:012d}")
    return Acceptable(call_id, "print", pack(payload, properties), 1 + number % 2)


def death(held: Held) -> Bury:
    said = {
        "attempt": 1,
        "ms": 41,
        "status": 422,
        "reason": "http_422",
        "message": f"call {held.call_id} is {random.uniform(1, 900):.3f} s long",
        "assistant": f"A{int(held.call_id[-12:]) % ASSISTANTS}",
    }
    return Bury(held, "http_422", msgspec.json.encode(said))


@pytest.fixture(scope="module")
def client() -> Iterator["Redis"]:
    with running() as server, connect(server.url) as client:
        client.config_set("appendfsync", "no")
        ledger = Ledger(client, prefix="many")
        for start in range(0, MANY, AT_ONCE):
            reports = [report(number) for number in range(start, start + AT_ONCE)]
            ledger.run(intake.accept(reports, revisions="record", per_wakeup=64))
            claim = delivery.claim(wanted=AT_ONCE, lease_ms=90_000, listen_ms=0, most_bytes=10**9)
            ledger.run(delivery.bury([death(Held(one.call_id, one.token)) for one in ledger.run(claim).reports]))
        client.connection_pool.connection_kwargs["url"] = server.url
        yield client


@pytest.fixture(scope="module")
def console(client: "Redis", tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, int]]:
    """A console that has read all letters, and the id of its process."""
    folder = tmp_path_factory.mktemp("console")
    environment = os.environ | {
        "ROARK_INGEST_REDIS_URL": str(client.connection_pool.connection_kwargs.pop("url")),
        "ROARK_INGEST_PREFIX": "many",
        "ROARK_INGEST_DATA_DIR": str(folder),
    }
    command = [sys.executable, "-m", "roark_ops.cli", "console", "--port", "0"]
    log = folder / "log"
    with log.open("wb") as file, subprocess.Popen(command, env=environment, stdout=file, cwd=folder) as process:
        try:
            wait_until(lambda: "listening on" in log.read_text(), "the console listens", 120)
            url = re.search(r"listening on (\S+)", log.read_text())
            assert url
            with httpx.Client(base_url=url[1], timeout=120, trust_env=False) as browser:
                began = time.monotonic()
                wait_until(
                    lambda: f"{MANY // 1000}\u202f000 dead letters" in browser.get("/causes").text,
                    "all are counted",
                    120,
                )
                resident = int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1])  # type: ignore[index]
                print(f"read and grouped after {time.monotonic() - began:.1f} s; {resident / 1024:.0f} MB resident")
                yield browser, process.pid
        finally:
            process.terminate()


def test_each_page_costs_little_at_the_median(console: tuple[httpx.Client, int]) -> None:
    browser, pid = console
    slow = {}
    for path in PAGES:
        browser.get(path).raise_for_status()
        took, before = [], cpu_seconds(pid)
        for _ in range(TIMES):
            began = time.perf_counter()
            browser.get(path).raise_for_status()
            took.append(1000 * (time.perf_counter() - began))
        cpu_ms = 1000 * (cpu_seconds(pid) - before) / TIMES
        print(f"{path}: {statistics.median(took):.0f} ms by the clock at the median, {cpu_ms:.0f} ms of CPU each")
        if cpu_ms > MOST_MS:
            slow[path] = cpu_ms
    assert slow == {}


def test_pages_behind_the_first_cost_no_more(console: tuple[httpx.Client, int]) -> None:
    browser, pid = console
    address, before = "/reports?state=dead", cpu_seconds(pid)
    for _ in range(10):
        found = re.search(r'rel="next" href="([^"]+)"', browser.get(address).text)
        assert found
        address = found[1].replace("&amp;", "&")
    assert 1000 * (cpu_seconds(pid) - before) / 10 < MOST_MS


def commands(client: "Redis") -> int:
    found: Any = client.info("commandstats")["cmdstat_evalsha"]
    return int(found["calls"])


def watched(browser: httpx.Client, client: "Redis", tabs: int) -> float:
    """Have so many tabs open for a while, each with its event stream and a page that it fetches each second."""
    stop = threading.Event()

    def tab() -> None:
        with (
            httpx.Client(base_url=browser.base_url, timeout=60, trust_env=False) as own,
            own.stream("GET", "/live") as stream,
        ):
            next(stream.iter_lines())
            while not stop.is_set():
                own.get("/?part=1").raise_for_status()
                own.get("/causes?part=1").raise_for_status()
                stop.wait(1)

    threads = [threading.Thread(target=tab, daemon=True) for _ in range(tabs)]
    for thread in threads:
        thread.start()
    stop.wait(3)
    before, began = commands(client), time.monotonic()
    stop.wait(SECONDS)
    per_second = (commands(client) - before) / (time.monotonic() - began)
    stop.set()
    for thread in threads:
        thread.join(30)
    return per_second


def test_fifty_tabs_cost_redis_no_more_than_one(console: tuple[httpx.Client, int], client: "Redis") -> None:
    browser, _ = console
    one, fifty = watched(browser, client, 1), watched(browser, client, TABS)
    print(f"scripts per second: {one:.1f} with one tab, {fifty:.1f} with {TABS}")
    assert fifty <= one * 1.2 + 1

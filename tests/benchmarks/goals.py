"""The goals as ratios within one run: what is wanted, what was found."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.contenders import AS_IT_COMES
from benchmarks.ingest import BEHIND_NGINX, LOAD_ALONE, PACED, PACED_BEHIND_NGINX

Row = dict[str, Any]


@dataclass(frozen=True)
class Goal:
    """One line of the table."""

    what: str
    wanted: str
    found: str
    met: bool


def goals(figures: dict[str, Any]) -> list[Goal]:
    """All goals that there are figures for."""
    return [
        *_over_tls([row for row in figures.get("uploads", []) if row["latency_ms"] == 100 and row.get("tls")]),
        *_without_tls([row for row in figures.get("uploads", []) if row["latency_ms"] == 100 and not row.get("tls")]),
        *_enqueue(figures.get("enqueue", [])),
        *_ingest(figures.get("ingest", [])),
        *_webhook(figures.get("webhook", [])),
        *_sizes(figures.get("sizes", [])),
        *_rewrite(figures.get("rewrite", [])),
        *_delay(figures.get("delay", [])),
        *_flatness(figures.get("flatness", [])),
        *_startup(figures.get("startup")),
    ]


def _over_tls(rows: list[Row]) -> Iterator[Goal]:
    by_family = {kind: [row for row in rows if row["family"] == kind] for kind in ("ours", "celery", "queue", "bare")}
    by_family["ours"] = [row for row in rows if row["name"] == AS_IT_COMES]
    if not all(by_family.values()):
        return
    best = {kind: min(row["cpu_ms"] for row in some) for kind, some in by_family.items()}
    fastest = {kind: max(row["per_second"] for row in some) for kind, some in by_family.items()}
    yield at_most(
        "TLS, as it comes: CPU per report against the best plain Celery", best["ours"] / best["celery"], 1 / 12
    )
    yield at_most("TLS, as it comes: CPU per report against the best other queue", best["ours"] / best["queue"], 1 / 4)
    yield at_least("TLS, as it comes: reports/s against the best plain Celery", fastest["ours"] / fastest["celery"], 10)
    yield at_least("TLS, as it comes: reports per CPU second against the bare limit", best["bare"] / best["ours"], 0.75)
    if alone := [row["memory_mb"] for row in rows if "1 process" in row["name"]]:
        yield at_most("memory of a worker process, MB", min(alone), 150, digits=0)


def _without_tls(rows: list[Row]) -> Iterator[Goal]:
    ours = [row["cpu_ms"] for row in rows if "1 process" in row["name"]]
    bare = [row["cpu_ms"] for row in rows if row["family"] == "bare"]
    if ours and bare:
        what = "without TLS, one process: reports per CPU second against the bare limit"
        yield at_least(what, min(bare) / min(ours), 0.85)


def _enqueue(rows: list[Row]) -> Iterator[Goal]:
    ours = [row for row in rows if row["family"] == "ours"]
    by_argument = [row for row in rows if row["by_argument"]]
    if ours and by_argument:
        alone = ours[0]["program_ms"] / by_argument[0]["program_ms"]
        whole = _both(ours[0]) / _both(by_argument[0])
        yield at_most("submit_many against apply_async with the report, the program alone", alone, 1 / 8)
        yield at_most("submit_many against apply_async with the report, program and Redis", whole, 1 / 8)


def _both(row: Row) -> float:
    return float(row["program_ms"] + row["redis_ms"])


def _ingest(rows: list[Row]) -> Iterator[Goal]:
    if len(rows) == 3:
        ours, without_redis, fastapi = (row["per_cpu_second"] for row in rows)
        yield at_least("accepts per CPU second against FastAPI and apply_async", ours / fastapi, 5)
        yield at_least("accepts per CPU second against no Redis at all", ours / without_redis, 0.5)


def _webhook(rows: list[Row]) -> Iterator[Goal]:
    found = {(row["way"], row["connections"]): row for row in rows}
    for connections in sorted({row["connections"] for row in rows}):
        alone, each = (found.get((way, connections)) for way in ("one process", "one per core"))
        if alone and each:
            cpu = (each["web_ms"] + each["redis_ms"]) / (alone["web_ms"] + alone["redis_ms"])
            yield at_most(
                f"webhook, {connections} connections: CPU per accept, a process per core against one", cpu, 1.15
            )
        # What the load brings with nobody behind it is not the webhook's.
        load = found.get((LOAD_ALONE, connections))
        wanted = max(5.0, load["p99_ms"] / load["p50_ms"] if load else 0)
        for way, row in (("a process per core", each), ("behind nginx", found.get((BEHIND_NGINX, connections)))):
            if row:
                what = f"webhook, {way}, {connections} connections: p99 against p50"
                yield at_most(what, row["p99_ms"] / row["p50_ms"], wanted)
        for way in (PACED, PACED_BEHIND_NGINX):
            if row := found.get((way, connections)):
                yield at_most(
                    f"webhook, {way}, {connections} connections: p99 against p50", row["p99_ms"] / row["p50_ms"], 5
                )


def _sizes(rows: list[Row]) -> Iterator[Goal]:
    if not rows:
        return
    slowest = max(rows, key=lambda row: float(row["slowest_ms"]))
    what = f"sizes: the slowest script, ms (`{slowest['slowest']}`, {slowest['name']})"
    yield at_most(what, slowest["slowest_ms"], 25, digits=1)
    speed = {row["name"]: row["mb_per_second"] for row in rows}
    if {"5 MB", "62 kB"} <= speed.keys():
        yield at_least("sizes: MB/s delivered, 5 MB against 62 kB", speed["5 MB"] / speed["62 kB"], 0.5)


def _rewrite(rows: list[Row]) -> Iterator[Goal]:
    for row in rows:
        yield at_most(f"accept's p99 while the file is rewritten against before, {row['name']}", _slower(row), 3)
        if found := row.get("in_memory"):
            yield at_most("… with the files in memory, so without the disk", _slower(found), 3)


def _slower(row: Row) -> float:
    return float(row["accept_ms_during_rewrite"]["p99"] / row["accept_ms"]["p99"])


def _delay(rows: list[Row]) -> Iterator[Goal]:
    if rows:
        yield at_most("accepted to upload started, p50, ms", rows[0]["from_accept_ms"]["p50"], 10, digits=1)
        yield at_most("accepted to upload started, p99, ms", rows[0]["from_accept_ms"]["p99"], 50, digits=1)


def _flatness(rows: list[Row]) -> Iterator[Goal]:
    if not rows:
        return
    costs = [row["cpu_ms"] for row in rows]
    dearest = max(costs[1:], default=costs[0])
    yield at_most("CPU per report, the dearest backlog against the smallest", dearest / costs[0], 1.15)
    waiting = rows[-1]["redis_bytes_waiting"]
    yield at_most("bytes in Redis for each waiting report", waiting, 1.15 * rows[-1]["zstd_bytes"] + 600, digits=0)
    both = [row for row in rows if row["redis_bytes_delivered"]]
    if len(both) > 1:
        yield at_most(
            "bytes in Redis for one more delivered report", one_more(both, "redis_bytes_delivered"), 200, digits=0
        )


def one_more(rows: list[Row], name: str) -> float:
    """Bytes for each report beyond the smallest backlog: without the scripts and buffers, which are there only once."""
    small, large = rows[0], rows[-1]
    more: float = large[name] * large["backlog"] - small[name] * small["backlog"]
    return more / (large["backlog"] - small["backlog"])


def _startup(row: Row | None) -> Iterator[Goal]:
    if row:
        yield at_most("`roark-ingest --help`, seconds", row["help_seconds"], 0.3)
        yield at_most("a worker works, seconds", row["worker_seconds"], 3)
        if found := row.get("import"):
            yield at_most("`from roark_producer import Producer`, seconds of CPU", found["cpu_seconds"], 0.25)
            yield at_most("… and MB of the process", found["megabytes"], 30)


def at_most(what: str, found: float, wanted: float, *, digits: int = 3) -> Goal:
    """A goal that is an upper bound."""
    return Goal(what, f"≤ {wanted:,.{digits}f}", f"{found:,.{digits}f}", found <= wanted)


def at_least(what: str, found: float, wanted: float) -> Goal:
    """A goal that is a lower bound."""
    return Goal(what, f"≥ {wanted:,.2f}", f"{found:,.2f}", found >= wanted)

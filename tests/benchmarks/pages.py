"""What README.md and ops/docs/sizing.md say of a run: tables from its figures, each between two marks in the page.

    PYTHONPATH=tests .venv/bin/python -m benchmarks.pages        from the figures that are kept

A full run writes them as well. A line whose part was not measured is left out.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.contenders import AS_IT_COMES

HERE = Path(__file__).parent
FIGURES = HERE / "results/figures.json"
ROOT = HERE.parent.parent
BEGINS, ENDS = "<!-- {}, written by make bench -->\n", "<!-- end of {} -->\n"
Row = dict[str, Any]
Figures = dict[str, Any]


def with_tables(page: str, figures: Figures) -> str:
    """Return the page with each table that it has marks for."""
    for name, lines in TABLES.items():
        before, mark, rest = page.partition(BEGINS.format(name))
        if mark:
            after = rest.partition(ENDS.format(name))[2]
            page = before + mark + "".join(line + "\n" for line in lines(figures)) + ENDS.format(name) + after
    return page


def write_pages(figures: Figures) -> None:
    """Write the tables into the pages."""
    for page in PAGES:
        page.write_text(with_tables(page.read_text(), figures))


def _costs(figures: Figures) -> Iterator[str]:
    rows = [row for row in figures.get("uploads", ()) if row["latency_ms"] == 100 and row.get("tls")]
    ours = next((row for row in rows if row["name"] == AS_IT_COMES), None)
    way = ", uploads over TLS" if ours else ""
    yield f"| a worker process on each of two cores, reports of 57 kB{way}, Roark answers after 100 ms | |"
    yield "|---|---:|"
    if ours:
        rivals = {kind: [row for row in rows if row["family"] == kind] for kind in ("celery", "queue", "bare")}
        celery, queue, bare = (min(some, key=_cpu) for some in rivals.values())
        fastest = max(row["per_second"] for row in rivals["celery"])
        times = ours["per_second"] / fastest
        yield f"| reports a second | {ours['per_second']:,.0f}: {times:.0f} times the best plain Celery task |"
        yield f"| CPU for each report, workers and Redis | {_cpu(ours):.2f} ms: {_cpu(ours) / _cpu(celery):.2f} of it |"
        yield f"| … against the best other queue | {_cpu(ours) / _cpu(queue):.2f} |"
        yield f"| … against a bare loop that promises nothing | {_cpu(ours) / _cpu(bare):.1f} |"
        alone = min(row["memory_mb"] for row in rows if "1 process" in row["name"])
        yield f"| memory of a worker process | {alone:.0f} MB |"
    if size := next((row for row in figures.get("sizes", ()) if row["name"] == "5 MB"), None):
        yield f"| reports of 5 MB | {size['mb_per_second']:.0f} MB/s |"
    if delay := figures.get("delay"):
        waits = delay[0]["from_accept_ms"]
        told = f"p50 {waits['p50']:.1f} ms, p99 {waits['p99']:.1f} ms"
        yield f"| from accepted to the upload's start, at 50 reports/s | {told} |"
    if flat := figures.get("flatness"):
        most, least = flat[-1], flat[0]
        told = f"{_cpu(most) / _cpu(least):.2f} of what it is with {least['backlog']:,}"
        yield f"| CPU for each report with {most['backlog']:,} waiting | {told} |"
        yield f"| in Redis, for each waiting report | {most['redis_bytes_waiting'] / 1000:.0f} kB |"
    if enqueue := figures.get("enqueue"):
        mine = next(row for row in enqueue if row["family"] == "ours")
        theirs = next(row for row in enqueue if row["by_argument"])
        share = mine["program_ms"] / theirs["program_ms"]
        told = f"{mine['program_ms']:.2f} ms: {share:.2f} of `apply_async` with the report"
        yield f"| submitting from Python (`submit_many`) | {told} |"
    if web := figures.get("ingest"):
        times = web[0]["per_cpu_second"] / web[2]["per_cpu_second"]
        told = f"{web[0]['per_cpu_second']:,.0f}: {times:.0f} times FastAPI with `apply_async`"
        yield f"| a webhook's durable answers, for each CPU second | {told} |"


def _cpu(row: Row) -> float:
    return float(row["cpu_ms"])


def _sizes(figures: Figures) -> Iterator[str]:
    yield "| size | MB/s taken in | webhook, most MB | MB/s delivered | workers, most MB | slowest script |"
    yield "|---|---:|---:|---:|---:|---:|"
    for row in figures.get("sizes", ()):
        taken_in = row["accepted_per_second"] * row["bytes"] / 1e6
        yield (
            f"| {row['name']} | {taken_in:,.0f} | {row['web_peak_mb']:,.0f} | {row['mb_per_second']:,.0f} "
            f"| {row['worker_peak_mb']:,.0f} | {row['slowest_ms']:.1f} ms |"
        )


def _rewrites(figures: Figures) -> Iterator[str]:
    yield "| waiting | rewrite, CPU | rewrite, clock | accept p99 before | during | start, CPU | start, clock |"
    yield "|---:|---:|---:|---:|---:|---:|---:|"
    for row in figures.get("rewrite", ()):
        p99 = [row[when]["p99"] for when in ("accept_ms", "accept_ms_during_rewrite")]
        start = row["restart_from_rewritten"]
        yield (
            f"| {row['reports']:,.0f} | {row['rewrite_cpu_seconds']:.1f} s | {row['rewrite_seconds']:.0f} s "
            f"| {p99[0]:.0f} ms | {p99[1]:.0f} ms | {start['cpu_seconds']:.1f} s | {start['seconds']:.1f} s |"
        )


def _disks(figures: Figures) -> Iterator[str]:
    yield "| while so much is rewritten | p50 before | p99 | p50 during | p99 |"
    yield "|---|---:|---:|---:|---:|"
    for row in figures.get("rewrite", ()):
        each = {f"accept, {row['name']}": row, "… with Redis's files in memory": row.get("in_memory")}
        for name, found in each.items():
            if found:
                yield f"| {name} | {_beside(found['accept_ms'], found['accept_ms_during_rewrite'])} |"
        if disk := row.get("disk"):
            yield f"| no server: 10 kB appended and synced on that disk | {_beside(disk['alone'], disk['beside'])} |"


def _beside(*both: dict[str, float]) -> str:
    return " | ".join(f"{found[cut]:.1f} ms" for found in both for cut in ("p50", "p99"))


TABLES: dict[str, Callable[[Figures], Iterator[str]]] = {
    "costs": _costs,
    "sizes": _sizes,
    "rewrites": _rewrites,
    "disks": _disks,
}
PAGES = (ROOT / "README.md", ROOT / "ops/docs/sizing.md")

if __name__ == "__main__":
    write_pages(json.loads(FIGURES.read_text()))

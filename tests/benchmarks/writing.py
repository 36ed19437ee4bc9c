"""From figures to RESULTS.md and its charts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import ledger_tables
from benchmarks.charts import bars
from benchmarks.goals import goals
from benchmarks.markdown import table

Row = dict[str, Any]
_CUTS = ("p50", "p99")
_PREFACE = """Written by `make bench`; do not edit. CPU is user and system time from the operating system. Ratios within
one run can be relied on; reports per second depend on who else used the machine.
"""


def write(figures: dict[str, Any], folder: Path) -> str:
    """Write everything there are figures for; return the text."""
    parts = [
        "# Results\n",
        _PREFACE,
        _machine(figures),
        _failed(figures.get("failed", [])),
        _goals(figures),
        _uploads(figures.get("uploads", []), folder),
        _ingest(figures.get("ingest", []), folder),
        _webhook(figures.get("webhook", [])),
        _sizes(figures.get("sizes", [])),
        _rewrite(figures.get("rewrite", [])),
        _enqueue(figures.get("enqueue", [])),
        _delay(figures.get("delay", [])),
        ledger_tables.flatness(figures.get("flatness", [])),
        ledger_tables.switches(figures.get("switches", [])),
        ledger_tables.partitions(figures.get("partitions", [])),
        ledger_tables.cluster(figures.get("cluster", [])),
        _startup(figures.get("startup")),
    ]
    text = "\n".join(part for part in parts if part)
    (folder / "RESULTS.md").write_text(text)
    return text


def _machine(figures: dict[str, Any]) -> str:
    rows = [[name, value] for name, value in figures["machine"].items()]
    rows.append(["rounds", "; ".join(f"{part}: {told}" for part, told in figures.get("rounds", {}).items())])
    rows.append(["run", "quick" if figures["quick"] else "full"])
    return "## Machine\n\n" + table(["what", ""], rows).replace("---:|", "---|")


def _failed(failed: list[str]) -> str:
    if not failed:
        return ""
    lines = "\n".join(f"- {each}" for each in failed)
    return (
        f"## Failed\n\nWhat is compared with the best of a kind is not, where one of the kind is missing.\n\n{lines}\n"
    )


def _goals(figures: dict[str, Any]) -> str:
    rows = [[goal.what, goal.wanted, goal.found, "yes" if goal.met else "**no**"] for goal in goals(figures)]
    return "## Goals\n\n" + table(["ratio in this run", "wanted", "found", "met"], rows) if rows else ""


def _uploads(rows: list[Row], folder: Path) -> str:
    text = ""
    # The headline first: over TLS, at 100 ms.
    ways = sorted({(row["latency_ms"] != 100, not row.get("tls"), row["latency_ms"]) for row in rows})
    for _, without_tls, latency_ms in ways:
        found = [row for row in rows if (row["latency_ms"], bool(row.get("tls"))) == (latency_ms, not without_tls)]
        some = sorted(found, key=lambda row: float(row["cpu_ms"]))
        how, chart = (
            ("without TLS", f"cpu-{latency_ms}ms-plain") if without_tls else ("over TLS", f"cpu-{latency_ms}ms")
        )
        text += f"## Uploads {how}, upstream answers after {latency_ms} ms\n\n"
        cpu = [(row["name"], row["family"], row["cpu_ms"]) for row in some]
        bars(folder / f"{chart}.svg", f"CPU per report delivered {how}, workers and Redis", cpu, unit="ms")
        text += f"![CPU per delivered report]({chart}.svg)\n\n"
        if (latency_ms, without_tls) == (100, False):
            each = [(row["name"], row["family"], row["memory_mb"]) for row in some]
            bars(folder / "memory.svg", "Memory of the workers (PSS)", each, unit="MB", digits=0)
            text += "![Memory of the workers](memory.svg)\n\n"
        text += table(
            ["", "CPU ms", "worker", "Redis", "stub", "per CPU s", "reports/s", "most in flight", "MB"],
            [
                [
                    row["name"],
                    f"**{row['cpu_ms']:.2f}**",
                    f"{row['worker_ms']:.2f}",
                    f"{row['redis_ms']:.2f}",
                    f"{row['stub_ms']:.2f}",
                    f"{1000 / row['cpu_ms']:,.0f}",
                    f"{row['per_second']:,.0f}",
                    f"{row['most_in_flight']:.0f}",
                    f"{row['memory_mb']:.0f}",
                ]
                for row in some
            ],
        )
        text += "\n"
    return text


def _ingest(rows: list[Row], folder: Path) -> str:
    if not rows:
        return ""
    families = ["ours", "bare", "celery"]
    each = [(row["name"], families[place], row["per_cpu_second"]) for place, row in enumerate(rows)]
    bars(folder / "ingest.svg", "Accepted reports per CPU second, web and Redis", each, unit="/s", digits=0)
    head = ["", "per CPU s", "web CPU ms", "Redis CPU ms", "accepted/s", "p50 ms", "p99 ms", "failed"]
    return "## Taking reports in (wrk, 32 connections)\n\n![Accepted per CPU second](ingest.svg)\n\n" + table(
        head,
        [
            [
                row["name"],
                f"**{row['per_cpu_second']:,.0f}**",
                f"{row['web_ms']:.2f}",
                f"{row['redis_ms']:.2f}",
                f"{row['per_second']:,.0f}",
                f"{row['p50_ms']:.0f}",
                f"{row['p99_ms']:.0f}",
                f"{row['failed']:.0f}",
            ]
            for row in rows
        ],
    )


def _webhook(rows: list[Row]) -> str:
    if not rows:
        return ""
    head = [
        "",
        "web CPU ms",
        "Redis CPU ms",
        "nginx CPU ms",
        "load's CPU ms",
        "accepted/s",
        "p50 ms",
        "p99 ms",
        "failed",
        "MB",
    ]
    cells = [
        [
            row["name"],
            *(f"{row[each]:.2f}" for each in ("web_ms", "redis_ms", "proxy_ms", "load_ms")),
            *(f"{row[each]:,.0f}" for each in ("per_second", "p50_ms", "p99_ms", "failed", "memory_mb")),
        ]
        for row in rows
    ]
    return "## The webhook's processes, on one port\n\n" + table(head, cells)


def _sizes(rows: list[Row]) -> str:
    if not rows:
        return ""
    text = "## Reports by their size\n\nThrough the webhook, then through the worker over TLS, upstream 100 ms. "
    text += "Memory is the peak (RSS) of all processes, CPU is web or worker and Redis.\n\n"
    head = ["", "accepted/s", "MB/s", "CPU ms", "webhook MB", "delivered/s", "MB/s", "CPU ms", "worker MB"]
    head += ["slowest script, ms"]
    return text + table(head, [_size(row) for row in rows])


def _size(row: Row) -> list[str]:
    return [
        row["name"],
        f"{row['accepted_per_second']:,.0f}",
        f"{row['accepted_per_second'] * row['bytes'] / 1e6:,.0f}",
        f"{row['web_ms'] + row['accept_redis_ms']:,.2f}",
        f"{row['web_peak_mb']:,.0f}",
        f"{row['delivered_per_second']:,.0f}",
        f"**{row['mb_per_second']:,.0f}**",
        f"{row['worker_ms'] + row['redis_ms']:,.2f}",
        f"{row['worker_peak_mb']:,.0f}",
        f"{row['slowest_ms']:.1f} (`{row['slowest']}`)",
    ]


def _rewrite(rows: list[Row]) -> str:
    if not rows:
        return ""
    head = ["", "accept's p50 ms", "p99", "p50 during a rewrite", "p99", "rewrite s", "start s", "start's CPU s"]
    text = "## While the append-only file is rewritten, and a start from it\n\n"
    text += (
        "The disk alone: 10 kB appended and synced, with no server, alone and beside a program that writes as much as "
    )
    text += "the rewrite does.\n\n"
    return text + table(head, [line for row in rows for line in _rewrites(row)])


def _rewrites(row: Row) -> Iterator[list[str]]:
    start = [f"{row['restart_from_rewritten'][each]:.1f}" for each in ("seconds", "cpu_seconds")]
    yield [row["name"], *_beside_a_rewrite(row), f"{row['rewrite_seconds']:.1f}", *start]
    if found := row.get("in_memory"):
        yield [f"{row['name']}, files in memory", *_beside_a_rewrite(found), f"{found['rewrite_seconds']:.1f}", "", ""]
    if disk := row.get("disk"):
        yield [
            "the disk alone",
            *(f"{disk[when][cut]:.1f}" for when in ("alone", "beside") for cut in _CUTS),
            "",
            "",
            "",
        ]


def _beside_a_rewrite(row: Row) -> list[str]:
    return [f"{row[when][cut]:.1f}" for when in ("accept_ms", "accept_ms_during_rewrite") for cut in _CUTS]


def _enqueue(rows: list[Row]) -> str:
    if not rows:
        return ""
    return "## Enqueueing from Python, CPU ms per report\n\n" + table(
        ["", "program", "Redis", "bytes in Redis"],
        [
            [row["name"], f"**{row['program_ms']:.2f}**", f"{row['redis_ms']:.2f}", f"{row['redis_bytes']:,.0f}"]
            for row in rows
        ],
    )


def _delay(rows: list[Row]) -> str:
    if not rows:
        return ""
    cells = [
        [
            row["name"],
            *(f"{row[since][cut]:.1f}" for since in ("from_accept_ms", "from_call_ms") for cut in ("p50", "p99")),
        ]
        for row in rows
    ]
    return "## Delay at 50 reports/s, ms until the first byte is upstream\n\n" + table(
        ["", "from accepted, p50", "p99", "from handed in, p50", "p99"], cells
    )


def _startup(row: Row | None) -> str:
    if not row:
        return ""
    imported = row.get("import")
    importing = ["`from roark_producer import Producer`", "", f"{imported['cpu_seconds']:.2f}"] if imported else None
    return "## Start-up, seconds\n\n" + table(
        ["", "wall clock", "CPU"],
        [
            *([importing] if importing else []),
            ["`roark-ingest --help`", f"{row['help_seconds']:.2f}", f"{row['help_cpu_seconds']:.2f}"],
            ["a worker works", f"{row['worker_seconds']:.2f}", ""],
        ],
    )

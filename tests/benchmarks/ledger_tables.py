"""The tables of RESULTS.md about the ledger: more waiting, promises, partitions, a cluster."""

from typing import Any

from benchmarks.markdown import table

Row = dict[str, Any]


def flatness(rows: list[Row]) -> str:
    if not rows:
        return ""
    return "## Cost of a report by how many wait\n\n" + table(
        ["", "CPU ms", "worker", "Redis", "Redis bytes each waiting", "zstd bytes", "Redis bytes each delivered"],
        [
            [
                row["name"],
                *_cpu(row, "**"),
                f"{row['redis_bytes_waiting']:,.0f}",
                f"{row['zstd_bytes']:,.0f}",
                f"{row['redis_bytes_delivered']:,.0f}" if row["redis_bytes_delivered"] else "",
            ]
            for row in rows
        ],
    )


def switches(rows: list[Row]) -> str:
    if not rows:
        return ""
    text = "## What each promise costs\n\nEverything above has all of these on. "
    text += "Flower is told of up to 100 deliveries a second.\n\n"
    return text + table(
        ["one switched off", "CPU ms", "worker", "Redis"],
        [[row["name"], *_cpu(row)] for row in rows],
    )


def partitions(rows: list[Row]) -> str:
    if not rows:
        return ""
    text = "## Partitions\n\nOne process, and all partitions on one server: what they cost by themselves.\n\n"
    return text + table(
        ["the ledger has", "reports/s", "CPU ms", "worker", "Redis"],
        [[row["name"], f"{row['per_second']:,.0f}", *_cpu(row)] for row in rows],
    )


def cluster(rows: list[Row]) -> str:
    if not rows:
        return ""
    text = "## A cluster\n\nSixteen partitions on three primaries, two programs and two workers, all on this machine; "
    text += "reports of 3 kB, handed in while they are delivered. Each was taken once, and the accounts balance. "
    text += "CPU ms a report, starts included.\n\n"
    return text + table(
        [
            "",
            "seconds",
            "reports/s",
            "handing in",
            "workers",
            "the three servers",
            "the broker",
            "most ready",
            "a partition's share",
        ],
        [
            [
                row["name"],
                f"{row['seconds']:,.0f}",
                f"{row['per_second']:,.0f}",
                f"{row['program_ms']:.2f}",
                f"{row['worker_ms']:.2f}",
                f"{row['redis_ms']:.2f}",
                f"{row['broker_ms']:.3f}",
                f"{row['most_waiting']:,.0f}",
                f"{row['least_share']:.1%} to {row['largest_share']:.1%}",
            ]
            for row in rows
        ],
    )


def _cpu(row: Row, mark: str = "") -> list[str]:
    return [f"{mark}{row['cpu_ms']:.2f}{mark}", f"{row['worker_ms']:.2f}", f"{row['redis_ms']:.3f}"]

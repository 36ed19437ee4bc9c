"""The benchmarks' goals for uploads, from rows as a run leaves them."""

from typing import Any

from benchmarks.contenders import AS_IT_COMES
from benchmarks.goals import goals


def row(name: str, family: str, cpu_ms: float, *, tls: bool) -> dict[str, Any]:
    facts = {"name": name, "family": family, "cpu_ms": cpu_ms, "tls": tls, "latency_ms": 100}
    return facts | {"per_second": 1000 / cpu_ms, "memory_mb": 140.0}


def test_the_headline_is_the_product_as_it_comes_over_tls_and_one_process_without() -> None:
    rows = [
        row(AS_IT_COMES, "ours", 0.4, tls=True),
        row("roark-ingest, 1 process", "ours", 0.3, tls=True),
        row("bare loop", "bare", 0.32, tls=True),
        row("plain Celery", "celery", 4.0, tls=True),
        row("taskiq", "queue", 2.0, tls=True),
        row(AS_IT_COMES, "ours", 0.1, tls=False),
        row("roark-ingest, 1 process", "ours", 0.3, tls=False),
        row("bare loop", "bare", 0.24, tls=False),
    ]

    found = {goal.what: (goal.found, goal.met) for goal in goals({"uploads": rows})}

    assert found == {
        "TLS, as it comes: CPU per report against the best plain Celery": ("0.100", False),
        "TLS, as it comes: CPU per report against the best other queue": ("0.200", True),
        "TLS, as it comes: reports/s against the best plain Celery": ("10.00", True),
        "TLS, as it comes: reports per CPU second against the bare limit": ("0.80", True),
        "memory of a worker process, MB": ("140", True),
        "without TLS, one process: reports per CPU second against the bare limit": ("0.80", False),
    }

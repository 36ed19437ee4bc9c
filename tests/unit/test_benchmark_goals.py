"""The benchmarks' goals, and what the pages say of them, from rows as a run leaves them."""

import json
from typing import Any

from benchmarks.contenders import AS_IT_COMES
from benchmarks.goals import goals
from benchmarks.ingest import BEHIND_NGINX, LOAD_ALONE, PACED, PACED_BEHIND_NGINX
from benchmarks.pages import FIGURES, PAGES, TABLES, with_tables


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


def test_of_all_sizes_the_slowest_script_counts_and_five_megabytes_go_at_half_the_speed_at_least() -> None:
    def size(name: str, mb_per_second: float, slowest_ms: float, slowest: str) -> dict[str, Any]:
        return {"name": name, "mb_per_second": mb_per_second, "slowest_ms": slowest_ms, "slowest": slowest}

    rows = [size("62 kB", 100, 3, "claim"), size("5 MB", 49, 12, "accept"), size("25 MB", 90, 26, "claim")]

    found = [(goal.what, goal.found, goal.met) for goal in goals({"sizes": rows})]

    assert found == [
        ("sizes: the slowest script, ms (`claim`, 25 MB)", "26.0", False),
        ("sizes: MB/s delivered, 5 MB against 62 kB", "0.49", False),
    ]


def test_the_webhooks_p99_is_measured_by_what_the_load_has_by_itself() -> None:
    def way(name: str, web_ms: float, p99_ms: float, connections: int = 256) -> dict[str, Any]:
        costs = {"web_ms": web_ms, "redis_ms": 0.1, "p50_ms": 10.0, "p99_ms": p99_ms}
        return {"way": name, "connections": connections, **costs}

    rows = [way("one process", 0.4, 90), way("one per core", 0.5, 60), way(BEHIND_NGINX, 0.5, 61)]

    def found(more: list[dict[str, Any]]) -> list[tuple[str, str, bool]]:
        return [(goal.found, goal.wanted, goal.met) for goal in goals({"webhook": rows + more})]

    assert found([]) == [("1.200", "≤ 1.150", False), ("6.000", "≤ 5.000", False), ("6.100", "≤ 5.000", False)]
    assert found([way(LOAD_ALONE, 0, 60)])[1:] == [("6.000", "≤ 6.000", True), ("6.100", "≤ 6.000", False)]
    # At a steady pace it is the webhook's alone.
    paced = [way(LOAD_ALONE, 0, 60), way(PACED, 0.5, 51), way(PACED_BEHIND_NGINX, 0.5, 49)]
    assert found(paced)[3:] == [("5.100", "≤ 5.000", False), ("4.900", "≤ 5.000", True)]


def test_a_rewrite_may_make_accepts_slower_up_to_three_times() -> None:
    row = {"name": "some", "accept_ms": {"p99": 10.0}, "accept_ms_during_rewrite": {"p99": 31.0}}

    assert [goal.met for goal in goals({"rewrite": [row]})] == [False]
    without_the_disk = {"accept_ms": {"p99": 2.0}, "accept_ms_during_rewrite": {"p99": 2.2}}
    assert [goal.met for goal in goals({"rewrite": [row | {"in_memory": without_the_disk}]})] == [False, True]


def test_the_pages_say_what_the_run_came_to_whose_figures_are_kept() -> None:
    figures = json.loads(FIGURES.read_text())
    texts = {page: page.read_text() for page in PAGES}

    assert {page: with_tables(text, figures) for page, text in texts.items()} == texts
    assert all(any(f"<!-- {name}, written by" in text for text in texts.values()) for name in TABLES)

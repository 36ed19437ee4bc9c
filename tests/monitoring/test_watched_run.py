"""The dashboards and rules against a real Prometheus that watched a real run: every query has an answer."""

import math
import os
import re
from pathlib import Path

import pytest
from offenders import for_each
from picture import drawn
from promtool import promtool
from queries import Query, dashboard_queries, rule_queries, rule_selectors
from watched_run import REPORTS, Run

from roark_ledger.lifecycle import State

pytestmark = [pytest.mark.monitoring, pytest.mark.timeout(600)]

LEGITIMATELY_EMPTY = {
    "overview: Alerts (A)": "no alert has to fire within two minutes",
    **{
        f"overview: {panel}": "a call is late or in time five minutes after its report came"
        for panel in ("In time (A)", "In time (B)", "Burn rate (A)", "Burn rate (B)", "Burn rate (C)")
    },
}
DASHBOARD_QUERIES = list(dashboard_queries())


def has_answer(run: Run, query: Query) -> bool:
    return any(not math.isnan(value) for series in run.prometheus.now(query.asked) for _, value in series.points)


def test_the_run_was_what_it_should_be(seen: Run) -> None:
    snapshot = seen.line.snapshot()
    assert snapshot.total("accepted") == REPORTS
    assert snapshot.states[State.DELIVERED] + snapshot.states[State.DEAD] == REPORTS
    assert snapshot.states[State.DEAD] > 0
    assert snapshot.total("breaker_opened") > 0


@for_each("query", DASHBOARD_QUERIES)
def test_a_dashboards_query_has_an_answer(seen: Run, query: Query) -> None:
    if query.where in LEGITIMATELY_EMPTY:
        seen.prometheus.now(query.asked)
        return
    assert has_answer(seen, query), query.asked


@for_each("query", rule_selectors())
def test_what_a_rule_looks_at_is_there(seen: Run, query: Query) -> None:
    assert has_answer(seen, query), query.text


@for_each("query", rule_queries())
def test_a_rule_can_be_evaluated(seen: Run, query: Query) -> None:
    seen.prometheus.now(query.text)


def test_what_is_legitimately_empty_is_still_asked() -> None:
    assert set(LEGITIMATELY_EMPTY) <= {query.where for query in DASHBOARD_QUERIES}


def test_the_sums_over_the_workers_are_the_ledgers_figures(seen: Run) -> None:
    def value(query: str) -> float:
        (series,) = seen.prometheus.now(query)
        return series.points[0][1]

    delivered = value('max(roark_ingest_reports{state="delivered"})')
    assert value('sum(roark_ingest_worker_settled_total{outcome="delivered"})') == delivered
    assert value("sum(roark_ingest_worker_delivery_seconds_count)") == delivered
    dead = value('max(roark_ingest_reports{state="dead"})')
    assert value('sum(roark_ingest_worker_settled_total{outcome="buried"})') == dead
    assert value('max(roark_ingest_events_total{event="accepted"})') == REPORTS
    assert value('sum(roark_ingest_webhook_requests_total{result="accepted"})') == REPORTS


def test_the_pages_are_as_prometheus_wants_them(seen: Run) -> None:
    for page in seen.pages.values():
        promtool("check", "metrics", stdin=page.encode())
        assert "call-" not in page
        assert "secret" not in page


def test_the_overview_can_be_drawn_from_it(seen: Run, tmp_path: Path) -> None:
    picture = drawn(seen.prometheus, seen.started, seen.ended)
    kept = Path(os.environ.get("MONITORING_PICTURE", tmp_path / "overview.svg"))
    kept.write_text(picture, "utf-8")
    empty = re.findall(r">no data</text>\s*<text[^>]*>([^<]+)</text>", picture)
    assert {f"overview: {panel} (A)" for panel in empty} <= set(LEGITIMATELY_EMPTY)
    assert len(empty) == picture.count("no data")

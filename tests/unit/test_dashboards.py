"""Dashboards and alerts against what is exported: no query for a metric or a label's value that nobody tells."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from fakeredis import FakeStrictRedis
from fakes import ScriptingFakeServer
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from queries import DASHBOARDS, OPS, dashboard_queries, panels, rule_queries

from roark_ledger.ledger import Ledger
from roark_producer.webhook.metrics import WebhookPage
from roark_worker.metrics.page import WorkerCollector
from roark_worker.settings import WorkerSettings

QUERIES = [*dashboard_queries(), *rule_queries()]
MATCHERS = re.compile(r"\b(roark_ingest_\w+)\{([^}]*)\}")
RECORDED = re.compile(r"\broark_ingest:[\w:]+")
MATCHER = re.compile(r'(\w+)(=~|!=|!~|=)"([^"]*)"')
OF_PROMETHEUS = {"instance", "job"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, set[str]]]:
    """Every sample's name on the webhook's and the worker's page, with the values of each of its labels."""
    with FakeStrictRedis(server=ScriptingFakeServer()) as client:
        registry = CollectorRegistry()
        settings = WorkerSettings(_env_file=None)
        registry.register(WorkerCollector(tmp_path_factory.mktemp("cells"), Ledger(client), settings, wanted=2))
        text = generate_latest(registry).decode() + WebhookPage().text(None).decode()
    found: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    return found


def test_every_metric_that_is_asked_for_is_exported(exported: dict[str, dict[str, set[str]]]) -> None:
    assert len(QUERIES) > 100
    assert {query.where: query.metrics - set(exported) for query in QUERIES if query.metrics - set(exported)} == {}


def test_what_rules_record_is_asked_for_by_the_name_that_it_has() -> None:
    recorded = {query.where for query in rule_queries() if ":" in query.where}
    asked = {name for query in QUERIES for name in RECORDED.findall(query.text)}

    assert asked == recorded != set()


def test_receipts_missing_calls_and_the_goal_are_on_the_overview() -> None:
    shown = {name for query in dashboard_queries() for name in (*query.metrics, *RECORDED.findall(query.text))}

    assert {
        "roark_ingest_vapi_calls_missing",
        "roark_ingest_reconcile_late_seconds",
        "roark_ingest_receipts_visible_share",
        "roark_ingest_receipts_stale_seconds",
        "roark_ingest:calls_late:ratio1h",
        "roark_ingest:calls_late:ratio1d",
    } <= shown


def test_every_label_and_value_that_is_asked_for_exists(exported: dict[str, dict[str, set[str]]]) -> None:
    asked = 0
    strange = []
    for query in QUERIES:
        for metric, matchers in MATCHERS.findall(query.text):
            for label, operator, value in MATCHER.findall(matchers):
                asked += 1
                known = exported[metric].get(label, set())
                wanted = set(value.split("|") if "~" in operator else [value])
                if not wanted <= known:
                    strange.append(f"{query.where}: {metric}{{{label}}} is {wanted - known}, none of {sorted(known)}")

    assert asked > 30
    assert strange == []


def test_the_ledgers_figures_are_never_added_up_over_instances() -> None:
    # Each of them tells the same: a sum would count every report once for each process.
    ledgers = r"roark_ingest_(?!worker_|webhook_)"
    sums = re.compile(rf"\bsum(?: by \(([^)]*)\))? ?\((?:rate|increase)?\(?{ledgers}")

    assert [q.where for q in QUERIES if not all("instance" in by for by in sums.findall(q.text))] == []


@pytest.mark.parametrize("name", DASHBOARDS)
class TestDashboard:
    def test_every_panel_says_what_it_shows_and_in_what_unit(self, name: str) -> None:
        for panel in panels(name):
            assert panel["description"].endswith((".", "groups", "list")), panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
            assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}

    def test_panels_have_ids_of_their_own_and_do_not_overlap(self, name: str) -> None:
        every = json.loads(DASHBOARDS[name].read_text("utf-8"))["panels"]
        assert max(Counter(panel["id"] for panel in every).values()) == 1
        places = Counter(place for panel in every for place in _places(panel["gridPos"]))
        assert max(places.values()) == 1
        assert all(0 <= x < 24 for x, _ in places)

    def test_it_is_found_by_the_provisioning(self, name: str) -> None:
        dashboard = json.loads(DASHBOARDS[name].read_text("utf-8"))
        assert dashboard["uid"] == f"roark-ingest-{name}"
        (variable,) = (each for each in dashboard["templating"]["list"] if each["type"] == "datasource")
        sources = yaml.safe_load((OPS / "grafana/provisioning/datasources/prometheus.yml").read_text("utf-8"))
        assert variable["current"]["value"] == sources["datasources"][0]["uid"]


def _places(grid: dict[str, int]) -> Iterator[tuple[int, int]]:
    for x in range(grid["x"], grid["x"] + grid["w"]):
        for y in range(grid["y"], grid["y"] + grid["h"]):
            yield x, y


def test_prometheus_is_told_to_scrape_webhook_and_worker_and_to_read_the_rules() -> None:
    config = yaml.safe_load((Path(OPS) / "prometheus" / "prometheus.yml").read_text("utf-8"))
    ports = {job["job_name"]: job["dns_sd_configs"][0]["port"] for job in config["scrape_configs"]}
    assert ports == {"roark-webhook": 8789, "roark-worker": 8788}
    assert config["rule_files"] == ["/etc/prometheus/rules.yml"]

"""Every query of the dashboards and every selector of the rules, as Prometheus can be asked them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

OPS = Path(__file__).parents[1] / "ops"
DASHBOARDS = {name: OPS / "grafana" / f"{name}.json" for name in ("overview", "engineers")}
RULES = OPS / "prometheus" / "rules.yml"
_METRIC = re.compile(r"\b(roark_ingest_\w+)")
_SELECTOR = re.compile(r"\b(?:roark_ingest_\w+|up)(?:\{[^}]*\})?")
_WINDOW = "2m"


@dataclass(frozen=True)
class Query:
    """A query, and where it stands."""

    where: str
    text: str
    legend: str = ""

    @property
    def asked(self) -> str:
        """The query with Grafana's variables filled in, for a run of a few minutes."""
        return self.text.replace("$__rate_interval", _WINDOW)

    @property
    def metrics(self) -> set[str]:
        return set(_METRIC.findall(self.text))


def panels(name: str) -> list[dict[str, Any]]:
    """Return a dashboard's panels, its rows' titles left out."""
    dashboard: dict[str, Any] = json.loads(DASHBOARDS[name].read_text("utf-8"))
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def rows(name: str) -> list[tuple[int, str]]:
    """Return where a dashboard's rows begin, and their titles."""
    dashboard: dict[str, Any] = json.loads(DASHBOARDS[name].read_text("utf-8"))
    return [(panel["gridPos"]["y"], panel["title"]) for panel in dashboard["panels"] if panel["type"] == "row"]


def dashboard_queries() -> Iterator[Query]:
    for name in DASHBOARDS:
        for panel in panels(name):
            for target in panel["targets"]:
                yield Query(f"{name}: {panel['title']} ({target['refId']})", target["expr"], target["legendFormat"])


def rule_queries() -> Iterator[Query]:
    for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"]:
        for rule in group["rules"]:
            yield Query(rule.get("alert") or rule["record"], rule["expr"])


def rule_selectors() -> Iterator[Query]:
    """Yield what each rule looks at, which must be there whether it fires or not."""
    for rule in rule_queries():
        for selector in sorted(set(_SELECTOR.findall(rule.text))):
            yield Query(rule.where, selector)

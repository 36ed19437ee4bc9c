"""What leads to the console: alerts, Flower's rows and the dashboards, each to a page that there is."""

import json
from pathlib import Path

import msgspec

from roark_ledger.ids import CallId, LeaseToken
from roark_ledger.moves.delivery import Bury, Defer, Deliver, Held, Refuse
from roark_ledger.records.alerts import AlertKind, Message
from roark_ledger.urls import split_url
from roark_ops.console.pages.reports import read_query
from roark_ops.console.routes import ROUTES
from roark_worker.alerts.pages import alert_page, call_page
from roark_worker.alerts.post import body
from roark_worker.flower.report_events import events_of

CONSOLE = "https://ops.example/console"
PATHS = {route.path for route in ROUTES if not route.is_deed}


def path_of(address: str) -> str:
    assert address.startswith(CONSOLE)
    return split_url(address.removeprefix(CONSOLE)).path


def test_every_alert_leads_to_a_page() -> None:
    for kind in AlertKind:
        assert path_of(alert_page(CONSOLE, kind)) in PATHS, kind
        assert alert_page(f"{CONSOLE}/", kind) == alert_page(CONSOLE, kind)
    assert alert_page(CONSOLE, "redis_away") == f"{CONSOLE}/"
    assert alert_page("", AlertKind.LANE_HELD) == ""


def test_what_an_alert_leads_to_can_be_read() -> None:
    from starlette.datastructures import QueryParams

    query = split_url(alert_page(CONSOLE, AlertKind.AUDIO_ENDING)).query
    assert read_query(QueryParams(query)).error == ""


def test_a_message_has_the_command_and_the_page() -> None:
    told = body(AlertKind.LANE_HELD, "raised", Message("a", "b", "roark-ingest resume"), page=f"{CONSOLE}/uploads")
    assert told["text"].endswith(f"Next: `roark-ingest resume` or {CONSOLE}/uploads")
    assert body(AlertKind.LANE_HELD, "raised", Message("a", "b", "c"))["text"].endswith("Next: `c`")


def test_flowers_row_of_what_went_wrong_leads_to_the_calls_story() -> None:
    held = Held(CallId("call 1/?"), LeaseToken(1))
    detail = msgspec.json.encode({"attempt": 1, "status": 422, "reason": "http_422"})
    page = f"{CONSOLE}/call?id=call%201%2F%3F"
    assert call_page(CONSOLE, "call 1/?") == page
    for outcome in (
        Bury(held, "http_422", detail),
        Defer(held, 5, "http_503", detail),
        Refuse(held, "http_403", "", detail, detail),
    ):
        assert str(events_of(outcome, 1.0, CONSOLE)[-1].fields["result"]).endswith(f" {page}")
        assert CONSOLE not in str(events_of(outcome, 1.0)[-1].fields["result"])
    assert CONSOLE not in str(events_of(Deliver(held, "r", detail), 1.0, CONSOLE)[-1].fields["result"])


def test_dashboards_lead_to_pages() -> None:
    for path in (Path(__file__).parents[2] / "ops" / "grafana").glob("*.json"):
        board = json.loads(path.read_text("utf-8"))
        assert "console" in {variable["name"] for variable in board["templating"]["list"]}
        links = [link["url"] for panel in board["panels"] for link in panel.get("links", [])]
        links += [link["url"] for link in board["links"]]
        ours = [link.removeprefix("${console}") for link in links if link.startswith("${console}")]
        assert len(ours) > 2
        assert {split_url(link).path or "/" for link in ours} <= PATHS

"""Text from outside stays text on every page, and no page shows a secret or who somebody is."""

import json
from typing import Any

import pytest
from commands import PHONE, TRANSCRIPT, CommandLine, report
from console_pages import Text, reject, text
from consoles import ConsoleUnderTest, opened

from roark_ledger.moves import intake
from roark_ledger.packing import pack
from roark_ops.console.routes import ROUTES

MARKUP = "<img src=x onerror=alert(1)>\"'><script>alert(2)</script>{{7919*7907}}"


def strange_tags(page: str) -> list[Any]:
    """Whatever a browser would run, or look up elsewhere."""
    found: list[Any] = []
    for tag, attributes in Text(page).tags:
        found += [(tag, name) for name in attributes if name.startswith("on") or name == "style"]
        links = [attributes.get(name) or "" for name in ("src", "href", "action", "formaction", "hx-get")]
        found += [(tag, link) for link in links if link and not link.startswith(("/", "#"))]
        if tag in {"img", "iframe", "object", "embed", "base", "style"}:
            found.append((tag, attributes))
        if tag == "script" and not (attributes.get("src") or "").startswith("/static/"):
            found.append((tag, attributes))
    return found


def test_markup_in_any_field_from_outside_is_text_on_every_page(line: CommandLine, console: ConsoleUnderTest) -> None:
    # given markup in every field that comes from Vapi, from Roark, and from people
    call_id = f"call-{MARKUP}"
    properties = json.dumps({MARKUP: MARKUP}).encode()
    packed = pack(report(call_id, **{MARKUP: MARKUP, "artifact": {"messages": [MARKUP]}}), properties)
    line.ledger.run(
        intake.accept([intake.Acceptable(call_id, "print", packed, 1)], revisions="record", per_wakeup=64)  # type: ignore[arg-type] # any id comes in
    )
    detail = dict.fromkeys(("message", "parameter", "code", "excerpt", "assistant", "over"), MARKUP)
    line.bury(call_id, **detail)
    line.accept("call-2")
    line.run("set-aside", "call-2", "--reason", MARKUP, "--as", MARKUP)
    line.run("hold", "--reason", MARKUP, "--as", MARKUP)
    line.run("dlq", "replay", "call-2", "--reason", MARKUP, "--as", MARKUP, "--yes")
    reject(line, json.dumps({MARKUP: MARKUP}).encode())
    reject(line, MARKUP.encode())
    # when every page is looked at
    paths = [
        route.path
        for route in ROUTES
        if not route.is_deed and route.path not in {"/curves", "/selection", "/replay.md"}
    ]
    pages = {path: console.get(path, job=1) for path in paths}
    pages |= {f"part {path}": console.get(path, job=1, part=1) for path in paths}
    pages["call"] = console.get("/call", id=call_id)
    pages["asked for"] = console.get("/reports", text=MARKUP, reason=MARKUP, state=[MARKUP, "dead"], cursor=MARKUP)
    pages["log"] = console.get("/log", by=MARKUP, call=MARKUP, action=MARKUP, after=MARKUP)
    pages["revealed"] = console.post("/call/reveal", id=call_id, reason=MARKUP)
    for deed, form in (
        ("discard", {"call": call_id}),
        ("edit", {"call": call_id}),
        ("replay", {"all": 1, "query": "state=dead"}),
    ):
        pages[deed] = console.get("/selection", id=console.freeze(deed, **form))
    selection = console.freeze("edit", call=call_id)
    pages["difference"] = console.post(
        "/edit/preview", id=selection, place=[f"x{MARKUP}", "endedReason"], value=[MARKUP] * 2
    )
    pages["done"] = console.post("/go/edit", id=selection, reason=MARKUP)
    # then it is text
    assert {name: strange_tags(page.text) for name, page in pages.items() if strange_tags(page.text)} == {}
    assert {name for name, page in pages.items() if str(7919 * 7907) in page.text} == set()
    for name in ("/causes", "call", "/log", "/uploads"):
        assert "<script>alert(2)</script>" in text(pages[name].text), name


def test_no_page_shows_a_secret_or_a_phone_number(line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROARK_API_BEARER_TOKEN", "tok-very-secret-1")
    monkeypatch.setenv("ROARK_INGEST_VAPI_SECRET", "vapi-very-secret-2")
    monkeypatch.setenv("ROARK_INGEST_ALERT_URL", "https://hooks.example/very-secret-3")
    line.bury_all("call-1", message=f"customer {PHONE} is unknown", excerpt=f"Bearer abcdef0123456789 for {PHONE}")
    line.run("hold", "--reason", f"call {PHONE}")
    with opened(line, console_password="console-very-secret-4") as console:
        console.sign_in("admin", "console-very-secret-4")
        for route in ROUTES:
            if not route.is_deed:
                page = console.get(route.path, id="call-1").text
                for secret in ("very-secret", "abcdef0123456789", PHONE, TRANSCRIPT):
                    assert secret not in page, (route.path, secret)

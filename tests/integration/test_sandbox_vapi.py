"""Vapi's side of the sandbox: it lists calls by windows as Vapi does, and fails on demand."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from call_objects import call_object

from roark_sandbox.options import SandboxOptions
from roark_sandbox.server import background

NOW = datetime.now(UTC).replace(microsecond=0)


@contextlib.contextmanager
def vapi(**options: Any) -> Iterator[httpx.Client]:
    with (
        background(SandboxOptions(port=0, **options)) as url,
        httpx.Client(base_url=url, trust_env=False) as client,
    ):
        yield client


def at(minutes_ago: float) -> str:
    return (NOW - timedelta(minutes=minutes_ago)).isoformat().replace("+00:00", "Z")


def put(client: httpx.Client, *things: dict[str, Any]) -> None:
    client.put("/_sandbox/vapi/calls", json=things).raise_for_status()


def ids(client: httpx.Client, **query: object) -> list[str]:
    return [call["id"] for call in client.get("/call", params=query).raise_for_status().json()]  # type: ignore[arg-type]


def test_calls_are_listed_by_windows_the_newest_first() -> None:
    with vapi() as client:
        put(client, *(call_object(f"c{n}", createdAt=at(n), updatedAt=at(n - 1)) for n in (3, 1, 2, 4)))

        assert ids(client) == ["c1", "c2", "c3", "c4"]
        assert ids(client, limit=2) == ["c1", "c2"]
        assert ids(client, createdAtGe=at(3), createdAtLt=at(1)) == ["c2", "c3"]
        assert ids(client, createdAtGt=at(3), createdAtLe=at(1)) == ["c1", "c2"]
        assert ids(client, updatedAtGe=at(1)) == ["c1", "c2"]
        assert ids(client, limit=0) == []


def test_a_call_that_ends_later_is_listed_as_it_is_now_and_a_late_one_at_its_place() -> None:
    with vapi() as client:
        put(client, call_object("long", createdAt=at(9), status="in-progress"), call_object("new", createdAt=at(1)))
        put(client, call_object("long", createdAt=at(9), status="ended"), call_object("late", createdAt=at(5)))

        assert ids(client) == ["new", "late", "long"]
        assert client.get("/call/long").json()["status"] == "ended"


def test_what_is_older_than_the_retention_is_gone() -> None:
    with vapi(vapi_retention_days=1) as client:
        put(client, call_object("old", createdAt=at(1500)), call_object("new", createdAt=at(1400)))

        assert ids(client) == ["new"]
        assert client.get("/call/old").status_code == 404


def test_one_call_is_answered_with_new_links_each_time() -> None:
    with vapi() as client:
        put(client, call_object("c1", createdAt=at(5)), {"id": "a-1", "name": "Ada"})

        first, second = (client.get("/call/c1").json()["artifact"] for _ in range(2))

        assert first["presignedMonoUrl"] != second["presignedMonoUrl"]
        assert datetime.fromisoformat(first["presignedUrlsExpiresAt"]) > NOW
        assert first["recordingUrl"] == second["recordingUrl"]
        assert client.get("/assistant/a-1").json() == {"id": "a-1", "name": "Ada"}
        assert client.get("/assistant/c1").status_code == 404
        assert client.get("/call/unknown").status_code == 404


@pytest.mark.parametrize("query", [{"limit": "1001"}, {"limit": "-1"}, {"limit": "x"}, {"createdAtGe": "yesterday"}])
def test_what_vapi_would_not_understand_is_refused(query: dict[str, str]) -> None:
    with vapi() as client:
        assert client.get("/call", params=query).status_code == 400


def test_it_demands_its_key_and_refuses_on_demand() -> None:
    with vapi(vapi_key="right", vapi_fail=("429:1.0:retry-after=2",)) as client:
        wrong = client.get("/call", headers={"authorization": "Bearer wrong"})
        busy = client.get("/call", headers={"authorization": "Bearer right"})
        client.put("/_sandbox/vapi", json={"fail": []}).raise_for_status()
        good = client.get("/call", headers={"authorization": "Bearer right"})

        assert (wrong.status_code, busy.status_code, good.status_code) == (401, 429, 200)
        assert busy.headers["retry-after"] == "2"
        assert client.get("/_sandbox/vapi").json()["requests"] == 3
        assert client.put("/_sandbox/vapi", json={"fail": ["timeout:1"]}).status_code == 400

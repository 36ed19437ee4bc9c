"""What the doctor says of both ends: Roark's account, and Vapi's assistants."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from delivering import TOKEN, worker_settings
from pydantic import SecretStr

from roark_ops.doctor.check import Check, Level
from roark_ops.doctor.connected import check_account, check_vapi
from roark_sandbox.options import SandboxOptions
from roark_sandbox.server import background
from roark_worker.calls.vapi_settings import VapiSettings

URL = "https://reports.example.com/vapi"
PLAN = {"type": "exponential", "maxRetries": 10, "baseDelaySeconds": 10}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with background(SandboxOptions(port=0, token=TOKEN, vapi_key="key")) as url:
        yield url


def assistant(name: str, server: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    whole = {"url": URL, "backoffPlan": PLAN} if server is None else server
    return {"id": name, "name": name, "server": whole} | more


def checked(url: str, *assistants: dict[str, Any], key: str = "key", public_url: str | None = URL) -> list[Check]:
    httpx.put(f"{url}/_sandbox/vapi/calls", json=list(assistants)).raise_for_status()
    only = tuple(one["id"] for one in assistants)
    settings = VapiSettings(vapi_api_key=SecretStr(key), vapi_base_url=url, reconcile_assistants=only)
    return list(check_vapi(settings, public_url))


def test_the_account_is_named_and_a_wrong_token_fails(url: str) -> None:
    right = check_account(worker_settings(roark_base_url=url))
    wrong = check_account(worker_settings(roark_base_url=url, roark_api_bearer_token="another-token"))
    nobody = check_account(worker_settings(roark_base_url="http://localhost:9"))

    assert (right.level, right.found) == (Level.OK, "organisation Sandbox, project Sandbox; READ, WRITE")
    assert (wrong.level, nobody.level) == (Level.FAIL, Level.WARN)
    assert "another-token" not in wrong.found + wrong.mend


def test_assistants_that_are_set_up_right_are_fine(url: str) -> None:
    (found,) = checked(url, assistant("a-1"), assistant("a-2", {"url": f"{URL}?tenant=x", "backoffPlan": PLAN}))

    assert found.level is Level.OK
    assert "all 2 send their reports here" in found.found


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (assistant("b-1", {"url": URL}), "no backoffPlan"),
        (assistant("b-2", {"url": URL, "backoffPlan": {"maxRetries": 0}}), "no backoffPlan"),
        (assistant("b-3", {"url": "https://other.example.com/vapi", "backoffPlan": PLAN}), "another URL"),
        (assistant("b-4", {"url": "https://reports.example.com/hook", "backoffPlan": PLAN}), "another URL"),
        (assistant("b-5", serverMessages=["status-update"]), "no end-of-call-report"),
        (assistant("b-6", {}), "no server URL of their own"),
    ],
)
def test_what_is_wrong_is_said_and_with_which_assistant(url: str, wrong: dict[str, Any], said: str) -> None:
    (found,) = checked(url, assistant("a-1"), wrong)

    assert found.level is Level.WARN
    assert said in found.found
    assert wrong["id"] in found.found or "1 of 2" in found.found
    assert "connect.md" in found.mend


def test_a_wrong_key_fails_and_without_one_nothing_is_asked(url: str) -> None:
    (wrong,) = checked(url, assistant("a-1"), key="wrong")
    (none,) = check_vapi(VapiSettings(), URL)

    assert (wrong.level, none.level) == (Level.FAIL, Level.OK)
    assert "rejected the key" in wrong.found

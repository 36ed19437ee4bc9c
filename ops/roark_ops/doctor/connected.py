"""Looks at both ends: whose token Roark says it is, and where Vapi's assistants send their reports.

Only with what this shell has: Roark's token, Vapi's private key, and for the assistants' address the public URL.
Nothing is changed at Roark or Vapi.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from roark_ledger.ledger import Ledger
from roark_ledger.urls import split_url
from roark_ops.cli.terminal.words import shown
from roark_ops.doctor.check import Check, fail, ok, warn
from roark_worker.calls.roark_calls import RoarkCalls, RoarkSaysNothing
from roark_worker.calls.vapi import Vapi, VapiFailed
from roark_worker.calls.vapi_settings import VapiSettings
from roark_worker.settings import WorkerSettings
from roark_worker.upload.roark import Token

_PAGE = "ops/docs/connect.md"
_MOST_NAMED = 5
_REPORT = "end-of-call-report"


def check_account(settings: WorkerSettings) -> Check:
    """Say whose token it is, as Roark tells it (`GET /v1/me`)."""
    try:
        with RoarkCalls(settings, Token.of(settings)) as roark:
            me = roark.me()
    except RoarkSaysNothing as nothing:
        if nothing.code == "token":
            return fail("roark account", str(nothing), "Copy the token again from Roark's dashboard, or create one.")
        return warn("roark account", str(nothing), "Run this again when Roark answers.")
    project = _name(me.get("defaultProject"))
    scopes = ", ".join(map(str, me["scopes"])) if isinstance(me.get("scopes"), list) else ""
    found = f"organisation {_name(me.get('organization')) or 'not named'}, project {project or 'not named'}"
    if scopes and "WRITE" not in scopes.upper():
        return fail("roark account", f"{found}; the token may only: {shown(scopes)}", "Create a token that may write.")
    return ok("roark account", f"{found}{'; ' + shown(scopes) if scopes else ''}")


@dataclass(frozen=True, slots=True)
class Wiring:
    """What an assistant says of where its messages go; `url` is empty where it does not say."""

    assistant_id: str
    url: str
    retries: int
    reports: bool


def check_vapi(settings: VapiSettings, public_url: str | None, ledger: Ledger | None = None) -> Iterator[Check]:
    """Say whether the key works, and which assistants send no reports here or none again.

    With a ledger, Vapi is asked when it is the turn. Raises LedgerError then, before anything is said.
    """
    if settings.vapi_api_key is None:
        yield ok("vapi", f"no VAPI_API_KEY in this shell, so Vapi's assistants are not checked ({_PAGE})")
        return
    try:
        with Vapi(settings, ledger=ledger) as vapi:
            found = [wiring_of(body) for body in vapi.assistants()]
    except VapiFailed as failed:
        yield fail("vapi", str(failed), f"See {_PAGE}")
        return
    only = settings.reconcile_assistants
    yield from judge_assistants([one for one in found if not only or one.assistant_id in only], public_url)


def wiring_of(body: bytes) -> Wiring:
    """Read what matters of an assistant."""
    assistant = msgspec.json.decode(body, type=dict[str, Any])
    server = assistant.get("server")
    server = server if isinstance(server, dict) else {}
    plan = server.get("backoffPlan")
    retries = plan.get("maxRetries") if isinstance(plan, dict) else 0
    messages = assistant.get("serverMessages")
    return Wiring(
        assistant_id=str(assistant.get("id", "")),
        url=str(server.get("url") or assistant.get("serverUrl") or ""),
        retries=int(retries) if isinstance(retries, int | float) else 0,
        # Where it does not say, Vapi sends its usual messages, and this is one of them.
        reports=not isinstance(messages, list) or _REPORT in messages,
    )


def judge_assistants(found: Sequence[Wiring], public_url: str | None) -> Iterator[Check]:
    """Say what is wrong with the assistants; pure."""
    if not found:
        yield warn("assistants", "Vapi lists no assistants", "Is it the private key of the right organisation?")
        return
    problems = [
        *_some("send no end-of-call-report", [one for one in found if not one.reports]),
        *_some("have no backoffPlan: Vapi sends each of their reports once", [one for one in found if _is_once(one)]),
        *_some("send their reports to another URL", [one for one in found if _is_elsewhere(one, public_url)]),
    ]
    unsaid = len([one for one in found if not one.url])
    if problems:
        yield warn("assistants", "; ".join(problems), f"Set them in Vapi's dashboard or through its API: {_PAGE}")
    elif unsaid:
        told = f"{unsaid} of {len(found)} have no server URL of their own: the phone number's or organisation's counts"
        yield warn("assistants", told, f"Set the server URL on each assistant, so that it can be checked: {_PAGE}")
    else:
        where = "send their reports here" if public_url else "have a server URL (compared with --public-url only)"
        yield ok("assistants", f"all {len(found)} {where}, and have a backoffPlan")


def _some(what: str, those: Sequence[Wiring]) -> list[str]:
    if not those:
        return []
    names = ", ".join(shown(one.assistant_id) for one in those[:_MOST_NAMED])
    more = f" and {len(those) - _MOST_NAMED} more" if len(those) > _MOST_NAMED else ""
    return [f"{len(those)} {what} ({names}{more})"]


def _is_once(one: Wiring) -> bool:
    return bool(one.url) and one.retries < 1


def _is_elsewhere(one: Wiring, public_url: str | None) -> bool:
    if not (one.url and public_url):
        return False
    ours, theirs = split_url(public_url), split_url(one.url)
    if ours.netloc.lower() != theirs.netloc.lower():
        return True
    return ours.path.strip("/") not in {"", theirs.path.strip("/")}


def _name(value: object) -> str:
    return shown(str(value.get("name", ""))) if isinstance(value, dict) else ""

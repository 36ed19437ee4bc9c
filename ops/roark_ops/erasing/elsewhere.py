"""Asks Roark and Vapi to erase calls as well, where their keys are set.

Roark only hides a call from every read; so it is called hidden. Vapi answers 503 while it cannot erase recordings, and
may be asked again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event
from urllib.parse import quote

import httpx
from tenacity import RetryError, Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from roark_ledger.ledger import Ledger
from roark_ops.erasing.certificate import AGAIN, Became, CertifiedPlace
from roark_worker.calls.vapi import seconds_to_turn
from roark_worker.calls.vapi_settings import VapiSettings
from roark_worker.settings import WorkerSettings

_TRIES = 4
_SECONDS = 20.0
_GONE = 404
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Known:
    """A call by Vapi's id, and by Roark's where it was delivered and named."""

    call_id: str
    roark_call_id: str = ""


def hide_at_roark(calls: Sequence[Known], settings: WorkerSettings) -> CertifiedPlace:
    """Have Roark hide calls. Raises ConfigurationError where there is no token."""
    headers = {"authorization": f"Bearer {settings.require_token().get_secret_value()}"}
    if settings.roark_project_id:
        headers["x-roark-project-id"] = settings.roark_project_id
    named = [call.roark_call_id for call in calls if call.roark_call_id]
    unknown = len(calls) - len(named)
    beside = f"; {unknown} without an ID of Roark's here: undelivered, or never named" if unknown else ""
    left = _left(f"{settings.roark_base_url}/v1/call/", named, headers)
    return _place("Roark", Became.HIDDEN, f"{len(set(named)) - len(left)} calls hidden{beside}", left)


def erase_at_vapi(calls: Sequence[Known], settings: VapiSettings, ledger: Ledger) -> CertifiedPlace:
    """Have Vapi erase calls and their recordings, among all else that it is asked.

    Raises ConfigurationError where there is no key, LedgerUnavailable.
    """
    headers = {"authorization": f"Bearer {settings.require_key().get_secret_value()}"}
    ids = [call.call_id for call in calls]
    left = _left(f"{settings.vapi_base_url}/call/", ids, headers, lambda: Event().wait(seconds_to_turn(ledger)))
    return _place("Vapi", Became.DONE, f"{len(set(ids)) - len(left)} calls erased", left)


def _left(
    address: str, ids: Sequence[str], headers: dict[str, str], wait: Callable[[], object] = lambda: None
) -> dict[str, str]:
    """Ask for each, when `wait` returns; return those that were not deleted, and why."""
    with httpx.Client(headers=headers, timeout=_SECONDS) as client:
        asked = {one: _delete(client, address + quote(one, safe=""), wait) for one in dict.fromkeys(ids)}
    return {one: why for one, why in asked.items() if why}


def _place(name: str, became: Became, what: str, left: dict[str, str]) -> CertifiedPlace:
    if not left:
        return CertifiedPlace(name, became, what)
    shown = ", ".join(f"{one} ({why})" for one, why in list(left.items())[:_MOST_NAMED])
    more = f" and {len(left) - _MOST_NAMED} more" if len(left) > _MOST_NAMED else ""
    return CertifiedPlace(name, Became.LEFT, what, f"{AGAIN}: it did not delete {shown}{more}.")


def _delete(client: httpx.Client, url: str, wait: Callable[[], object]) -> str:
    retrying = Retrying(
        retry=retry_if_exception(_passes),
        stop=stop_after_attempt(_TRIES),
        wait=wait_exponential(multiplier=0.3, max=5),
        reraise=True,
    )
    try:
        retrying(_delete_once, client, url, wait)
    except httpx.HTTPStatusError as error:
        return "" if error.response.status_code == _GONE else f"status {error.response.status_code}"
    except (httpx.HTTPError, RetryError) as error:
        return f"unreachable, {type(error).__name__}"
    return ""


def _delete_once(client: httpx.Client, url: str, wait: Callable[[], object]) -> None:
    wait()
    client.delete(url).raise_for_status()


def _passes(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500 or error.response.status_code in {408, 429}
    return isinstance(error, httpx.TransportError)

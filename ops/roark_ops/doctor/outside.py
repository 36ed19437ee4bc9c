"""Looks at the webhook from outside, as Vapi does: through the proxy, with the right secret, and with a large body.

What is posted is a message that no report is, padded beyond what proxies take by default; the webhook counts it as
ignored and keeps nothing. Asking is `ask`; judging what came back is pure.
"""

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx

from roark_ledger.urls import split_url
from roark_ops.doctor.check import Check, fail, ok, warn
from roark_producer.settings import WebhookSettings
from roark_producer.webhook.door.gate import gate_for, is_loopback
from roark_producer.webhook.door.open_gate import OpenGate
from roark_producer.webhook.door.signature import SignatureGate

LARGE_BYTES = 5_000_000
_SECONDS = 30.0
_PAGE = "ops/docs/proxies.md"
_NAME = "public url"
# What a refusal means, by its status or its hundreds, and what mends it.
_BY_WEBHOOK = {
    401: ("the webhook rejects our secret", "Set the same ROARK_INGEST_VAPI_SECRET here and for the webhook."),
    413: ("the webhook does not accept reports of that size", "Raise ROARK_INGEST_MAX_REPORT_BYTES."),
    408: ("the body arrived too slowly", "Raise ROARK_INGEST_WEBHOOK_BODY_SECONDS, or find out why it is slow."),
    503: ("the webhook can't store reports right now", "See the checks above, and the webhook's log."),
}
_PASS_ON = f"Let the proxy forward Vapi's POST to the webhook, which checks the secret itself: {_PAGE}"
_BY_PROXY = {
    413: ("a proxy rejects it, and Vapi does not retry", f"nginx: client_max_body_size 30m. See {_PAGE}"),
    408: ("a proxy timed out waiting for the body", f"Raise its body timeout: {_PAGE}"),
    3: ("it redirects, but Vapi does not follow redirects", "Give Vapi the final URL."),
    4: ("a proxy rejects it", _PASS_ON),
    5: ("the proxy can't reach the webhook", f"Make sure that the webhook runs where the proxy expects it: {_PAGE}"),
}
_INNER = ("/readyz", "/healthz")


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back: a status with the body's beginning, or no answer and why."""

    status: int
    body: bytes = b""
    why: str = ""


def check_public(settings: WebhookSettings, public_url: str) -> Iterator[Check]:
    """Post the large message to the public URL, then see whether what is for us only can be read there.

    Raises ConfigurationError when the webhook's own settings are wrong.
    """
    try:
        parts = split_url(public_url)
    except ValueError:
        parts = split_url("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        yield fail(_NAME, "not an http:// or https:// URL", "Use the server URL that is set at Vapi.")
        return
    origin = f"{parts.scheme}://{parts.netloc}"
    url = public_url if parts.path.strip("/") else f"{origin}{settings.webhook_path}"
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        yield warn(_NAME, "plain http: anyone on the way can read the secret and the reports", "Use https.")
    body = harmless_message(LARGE_BYTES)
    heard = ask("POST", url, body, _credentials(settings, url, body))
    yield judge_large(heard, LARGE_BYTES)
    if heard.status:
        yield judge_exposed([path for path in _INNER if _is_ours(ask("GET", origin + path))])


def harmless_message(size: int) -> bytes:
    """Return a message of about `size` bytes that the webhook ignores. Its padding cannot be compressed away."""
    padding = secrets.token_urlsafe(size * 3 // 4)
    return json.dumps({"message": {"type": "status-update", "status": "in-progress", "doctor": padding}}).encode()


def ask(method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Heard:
    """Send one request and return what came back; redirects are not followed, as Vapi does not."""
    sent = {"content-type": "application/json", "user-agent": "roark-ingest doctor"} | (headers or {})
    try:
        with httpx.stream(method, url, content=body, headers=sent, timeout=_SECONDS) as answer:
            return Heard(answer.status_code, next(answer.iter_bytes(4096), b""))
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return Heard(0, why=str(error) or type(error).__name__)


def judge_large(heard: Heard, size: int) -> Check:
    """Say whether a large report would come through."""
    sent = f"a message of {size / 1e6:.0f} MB"
    if not heard.status:
        return fail(_NAME, f"no answer: {heard.why}", f"Check DNS, certificate, firewall and proxy: {_PAGE}")
    if heard.status == 200:
        if heard.body.strip() == b"{}":
            return ok(_NAME, f"the webhook accepts {sent} there")
        return fail(
            _NAME,
            "something other than the webhook answers 200",
            f"Let the proxy forward the path to the webhook: {_PAGE}",
        )
    refusals = _BY_WEBHOOK if heard.body.startswith(b'{"error":') else _BY_PROXY
    found, mend = refusals.get(heard.status, refusals.get(heard.status // 100, ("it is not accepted", f"See {_PAGE}")))
    return fail(_NAME, f"{found} ({heard.status} to {sent})", mend)


def judge_exposed(paths: list[str]) -> Check:
    """Say whether pages that are for us only can be read from outside."""
    if not paths:
        return ok("exposed", "only the webhook's path is reachable from there")
    mend = f"Let the proxy forward only the webhook's path: {_PAGE}"
    return warn("exposed", f"anyone can read {', '.join(paths)} there", mend)


def _is_ours(heard: Heard) -> bool:
    return heard.status in {200, 503} and heard.body.startswith((b"# HELP", b'{"status":'))


def _credentials(settings: WebhookSettings, url: str, body: bytes) -> dict[str, str]:
    match gate_for(settings):
        case OpenGate():
            return {}
        case SignatureGate() as gate:
            return gate.signed(body, url, time.time())
        case _:
            return {settings.webhook_token_header: settings.secrets()[0]}

"""Sends an alert's message: a POST that Slack takes, and whatever understands Slack's JSON.

`{"text": …, "blocks": […]}`: the text is the whole message for those who show nothing else. The URL is a secret (who
has it can post), so no error and no log has it.
"""

from typing import Any

import httpx
from tenacity import RetryError, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from roark_ledger.errors import IngestError
from roark_ledger.records.alerts import AlertKind, Message

_TRIES = 3
_SECONDS = 5.0


class AlertNotTaken(IngestError):
    """The webhook did not take a message; says why, and never where it is."""


def body(kind: AlertKind | str, what: str, message: Message, *, lasted: str = "", page: str = "") -> dict[str, Any]:
    """Return the message as Slack takes it. `what` is `raised`, `recovered` or `test`, `page` the console's."""
    marks = {"raised": "ALERT", "recovered": "RECOVERED", "test": "TEST"}
    if what == "recovered":
        mark = "OVER" if kind == AlertKind.AUDIO_ENDING else marks[what]  # what was lost does not come back
        head = f"{mark} roark-ingest {kind}: this is over{f', after {lasted}' if lasted else ''}"
        parts = [head, f"It was: {message.headline}"]
    else:
        parts = [f"{marks[what]} roark-ingest {kind}: {message.headline}", message.explanation]
        parts.append(f"Next: `{message.command}`{f' or {page}' if page else ''}")
    sections = [{"type": "section", "text": {"type": "mrkdwn", "text": _escaped(part)}} for part in parts]
    return {"text": _escaped("\n".join(parts)), "blocks": sections}


def post(url: str, document: dict[str, Any], *, tries: int = _TRIES, first_wait: float = 0.5) -> None:
    """Send it, with a few tries for what passes.

    Raises AlertNotTaken when it is not known to have been taken.
    """
    retrying = Retrying(
        retry=retry_if_exception(_passes),
        stop=stop_after_attempt(tries),
        wait=wait_random_exponential(multiplier=first_wait, max=5),
        reraise=True,
    )
    try:
        retrying(_post_once, url, document)
    except (httpx.HTTPStatusError, RetryError) as error:
        status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else "no answer"
        raise AlertNotTaken(f"the alert webhook answered {status}") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise AlertNotTaken(f"the alert webhook is unreachable ({type(error).__name__})") from None
    except ValueError:
        # httpx quotes a proxy's URL, which may have a password.
        raise AlertNotTaken(
            "the alert webhook is unreachable: HTTPS_PROXY or ALL_PROXY isn't the URL of a proxy"
        ) from None


def _post_once(url: str, document: dict[str, Any]) -> None:
    httpx.post(url, json=document, timeout=_SECONDS).raise_for_status()


def _passes(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500 or error.response.status_code in {408, 429}
    return isinstance(error, httpx.TransportError)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

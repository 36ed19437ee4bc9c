"""The answers in Roark's own shapes: a call taken in, an error, a proxy's page, a healthy service.

Errors are a top-level object with `type`, `code` and `message`, and `parameter` where one field is to blame.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from roark_sandbox.trouble.faults import RefuseFault, Say

_PROXY_PAGE = b"<!DOCTYPE html><html><head><title>Welcome</title></head><body>Please sign in.</body></html>"

# type, code and message for the statuses that have words of their own.
_WORDS = {
    400: ("validation", "invalid_request", "Invalid request"),
    401: ("authentication", "unauthorized", "Missing or invalid bearer token"),
    402: ("payment_required", "insufficient_credits", "Out of credits"),
    403: ("forbidden", "forbidden", "This key lacks the permission"),
    404: ("not_found", "not_found", "There is no such route"),
    409: ("conflict", "conflict", "The call is being processed"),
    413: ("validation", "payload_too_large", "Request body is too large"),
    429: ("rate_limit", "too_many_requests", "Rate limit exceeded"),
}


def json_answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Any value as a JSON answer."""
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


def imported(roark_call_id: str) -> Response:
    """The documented answer to an upload."""
    return json_answer({"data": {"callId": roark_call_id}})


def created(roark_call_id: str, creation: bytes) -> Response:
    """The documented answer to `POST /v1/call`."""
    asked = msgspec.json.decode(creation)
    agent, customer = asked.get("agent") or {}, asked.get("customer") or {}
    return json_answer(
        {
            "data": {
                "id": roark_call_id,
                "projectId": "00000000-0000-4000-8000-000000000001",
                "status": "ENDED",
                "startedAt": asked["startedAt"],
                "externalId": asked.get("externalId"),
                "agents": [agent] if agent else [],
                "customers": [customer] if customer else [],
                "createdAt": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            }
        },
        201,
    )


def error(
    status: int,
    message: str | None = None,
    parameter: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error in Roark's shape, with the status's usual message unless another is given."""
    kind, code, usual_message = _WORDS.get(status) or _words_from_http(status)
    body = {"type": kind, "code": code, "message": message or usual_message}
    if parameter is not None:
        body["parameter"] = parameter
    return json_answer(body, status, headers)


def refused(refuse: RefuseFault) -> Response:
    """The error that a fault asks for, with its hints when to come again."""
    headers = {}
    if refuse.retry_after_seconds is not None:
        headers["retry-after"] = f"{refuse.retry_after_seconds:g}"
    if refuse.retry_after_ms is not None:
        headers["retry-after-ms"] = f"{refuse.retry_after_ms:g}"
    if refuse.should_retry is not None:
        headers["x-should-retry"] = str(refuse.should_retry).lower()
    return error(refuse.status, refuse.message, headers=headers)


def proxy_page(status: int = 200) -> Response:
    """A page from somebody who is not Roark."""
    return Response(_PROXY_PAGE, status, media_type="text/html")


def said(say: Say) -> Response:
    """What somebody who may be Roark, or not, answers; a redirect leads elsewhere."""
    kind = {"<": "text/html", "{": "application/json", "[": "application/json"}.get(say.body[:1], "text/plain")
    headers = {} if say.should_retry is None else {"x-should-retry": str(say.should_retry).lower()}
    if 300 <= say.status < 400:
        headers["location"] = "/elsewhere"
    return Response(say.body, say.status, headers, media_type=kind)


def error_inside(code: str) -> Response:
    """A success that is none."""
    return json_answer({"error": {"code": code, "message": f"The upload failed: {code}"}})


def names_nothing() -> Response:
    """The documented answer to an upload, without the call's id."""
    return json_answer({"data": {"callId": None}})


def _words_from_http(status: int) -> tuple[str, str, str]:
    kind = "internal" if status >= 500 else "validation"
    try:
        known = HTTPStatus(status)
    except ValueError:
        return kind, f"status_{status}", f"Status {status}"
    return kind, known.name.lower(), known.phrase

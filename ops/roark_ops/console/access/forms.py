"""Forms and cookies: what one of our own pages sent, and what the browser keeps for us."""

from urllib.parse import parse_qsl

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from roark_ops.console.access.door import COOKIE, Door

_MOST_BODY_BYTES = 1_000_000
_MOST_FIELDS = 20_000


class FormRefused(Exception):
    """What was sent is no form of ours; `status` is how that is answered, `why` what a person is told."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


async def read_form(door: Door, request: Request) -> QueryParams:
    """Return a form that a page of ours sent. Raises FormRefused where another site's did, and where it is none."""
    if not door.is_own_origin(request):
        raise FormRefused(403, "This was sent by another site's page, or by none, so nothing was done.")
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise FormRefused(415, "A form was expected.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BODY_BYTES:
            raise FormRefused(413, "That is too much for a form. Use a filter, or the command line.")
    try:
        return QueryParams(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise FormRefused(400, "The form cannot be read.") from None


def set_cookie(door: Door, request: Request, response: Response, cookie: str, *, path: str) -> None:
    """Have the browser keep a session's cookie, for us alone."""
    response.set_cookie(
        COOKIE, cookie, path=path or "/", secure=door.is_secure(request), httponly=True, samesite="strict"
    )

"""The console as a web application: what a request meets before a page sees it.

1. its path is one of ours (`routes.py`), and its query holds no secret and no phone number;
2. who asks is known, by `access/door.py`; who is not is sent to sign in;
3. they have the role that the route takes;
4. what changes something was sent by a page of ours (Origin) with the session's token in it;
5. the page answers, in a thread of its own.

The rest: signing in and out, the event stream, files, and whether the process lives.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from roark_ledger.errors import IngestError
from roark_ledger.logs import event, masked_text
from roark_ops.cli.terminal.running import in_words
from roark_ops.console.access.door import DoorShut, Visitor
from roark_ops.console.access.forms import FormRefused, read_form, set_cookie
from roark_ops.console.access.headers import SafeHeaders
from roark_ops.console.access.roles import Role
from roark_ops.console.access.sessions import same
from roark_ops.console.access.signing import Signing
from roark_ops.console.ask import Ask, NotThere
from roark_ops.console.backstage import Backstage
from roark_ops.console.routes import ROUTES, ConsoleRoute
from roark_ops.console.writing import STATIC

logger = logging.getLogger(__name__)

_MOST_TABS = 500
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_Endpoint = Callable[[Request], Awaitable[Response]]


def create_app(stage: Backstage) -> Starlette:
    """Return the application."""
    signing = Signing(stage)
    routes = [Route(each.path, _guarded(stage, each), methods=["POST" if each.is_deed else "GET"]) for each in ROUTES]
    app = Starlette(
        routes=[
            *routes,
            Route("/live", _live(stage)),
            Route("/signin", signing.page),
            Route("/signin", signing.sign_in, methods=["POST"]),
            Route("/signout", signing.sign_out, methods=["POST"]),
            *(Route(f"/static/{name}", _file(name)) for name in _files()),
            Route("/healthz", lambda _: PlainTextResponse("ok\n")),
        ],
        middleware=[Middleware(SafeHeaders, prefix=stage.settings.console_path, frames=stage.settings.console_frames)],
        exception_handlers={HTTPException: _no_such_page(stage), Exception: _failed(stage)},
    )
    # An address is one of ours as it is written: nobody is sent on to what a Host header names.
    app.router.redirect_slashes = False
    return app


def _guarded(stage: Backstage, route: ConsoleRoute) -> _Endpoint:
    async def answer(request: Request) -> Response:
        if _has_private(request.query_params):
            return _refused(stage, 400, "A phone number or a secret has no place in an address, which others can see.")
        try:
            visitor = await run_in_threadpool(
                stage.door.visitor, request, is_activity="part" not in request.query_params
            )
        except (DoorShut, IngestError) as error:
            return _refused(stage, 403, str(error))
        if visitor is None:
            return _to_sign_in(stage, request, is_deed=route.is_deed)
        response = await _answer(stage, route, request, visitor)
        if visitor.cookie:
            set_cookie(stage.door, request, response, visitor.cookie, path=stage.prefix)
        return response

    return answer


async def _answer(stage: Backstage, route: ConsoleRoute, request: Request, visitor: Visitor) -> Response:
    if visitor.role < route.role:
        what = f"This takes the role {route.role.word}. You are {visitor.name}, {visitor.role.word}."
        return _refused(stage, 403, what, visitor)
    form = QueryParams()
    if route.is_deed:
        try:
            form = await read_form(stage.door, request)
        except FormRefused as error:
            return _refused(stage, error.status, error.why, visitor)
        if not same(str(form.get("token", "")), visitor.token):
            return _refused(stage, 403, "Your session has ended or changed. Go back, load the page again, and retry.")
    ask = Ask(request, stage, visitor, form)
    try:
        return await run_in_threadpool(route.handler, ask)
    except NotThere as error:
        return _refused(stage, 404, str(error), visitor)
    except IngestError as error:
        return _refused(stage, 503, in_words(error), visitor)


def _has_private(query: QueryParams) -> bool:
    return any(masked_text(value) != value for _, value in query.multi_items())


def _to_sign_in(stage: Backstage, request: Request, *, is_deed: bool) -> Response:
    if is_deed or "part" in request.query_params:
        return _refused(stage, 401, "You are signed out. Sign in again, and retry.")
    if request.headers.get("sec-fetch-site") == "cross-site":
        # A link on another site: the browser keeps our strict cookie back until the next step, which is ours.
        page = stage.templates.render("arriving.html", stage, {"here": _here(stage, request)})
        return HTMLResponse(page)
    return RedirectResponse(stage.link("/signin", next=_here(stage, request)), 303)


def _here(stage: Backstage, request: Request) -> str:
    query = request.scope["query_string"].decode("latin-1")
    return f"{stage.prefix}{request.scope['path']}{f'?{query}' if query else ''}"


def _refused(stage: Backstage, status: int, why: str, visitor: Visitor | None = None) -> Response:
    values = {"why": why, "status": status, "visitor": visitor}
    return HTMLResponse(stage.templates.render("refused.html", stage, values), status)


def _no_such_page(stage: Backstage) -> Callable[[Request, Exception], Response]:
    def answer(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        why = "There is no page at this address."
        if status == 405:
            is_read = request.method in {"GET", "HEAD"}
            why = "This changes something, so it takes a form." if is_read else "A page is read with GET alone."
        answer = _refused(stage, status, why)
        answer.headers.update((error.headers or {}) if isinstance(error, HTTPException) else {})
        return answer

    return answer


def _failed(stage: Backstage) -> Callable[[Request, Exception], Response]:
    def answer(request: Request, error: Exception) -> Response:
        # What an error says may quote a report.
        event(logger, "page_failed", level=logging.ERROR, path=request.scope["path"], error=type(error).__name__)
        return _refused(stage, 500, "The console failed to make this page. Its log says where.")

    return answer


def _live(stage: Backstage) -> _Endpoint:
    async def answer(request: Request) -> Response:
        try:
            visitor = await run_in_threadpool(stage.door.visitor, request, is_activity=False)
        except (DoorShut, IngestError) as error:
            return PlainTextResponse(f"{error}\n", 403)
        if visitor is None or visitor.role < Role.VIEWER:
            return PlainTextResponse("signed out\n", 401)
        if request.method == "HEAD":
            return PlainTextResponse("", media_type="text/event-stream")
        if stage.live.tabs >= _MOST_TABS:
            return PlainTextResponse("too many tabs\n", 503)

        async def events() -> AsyncIterator[str]:
            yield "retry: 3000\n\n"
            async for told in stage.live.beats():
                try:
                    still = await run_in_threadpool(stage.door.visitor, request, is_activity=False)
                except (DoorShut, IngestError):
                    still = None
                if still is None:
                    yield "event: signed-out\ndata: {}\n\n"
                    return
                yield f"event: live\ndata: {told}\n\n" if told else ": nothing new\n\n"

        return StreamingResponse(events(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    return answer


def _files() -> list[str]:
    return [str(path.relative_to(STATIC)) for path in sorted(STATIC.rglob("*")) if path.suffix in _TYPES]


def _file(name: str) -> Callable[[Request], Response]:
    content = (STATIC / name).read_bytes()
    kind = _TYPES[(STATIC / name).suffix]

    def answer(_: Request) -> Response:
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "Content-Type": kind}
        return Response(content, headers=headers)

    return answer

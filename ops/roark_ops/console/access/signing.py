"""Signing in and out."""

import logging
import math

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from roark_ledger.errors import IngestError
from roark_ledger.logs import event
from roark_ledger.urls import split_url
from roark_ops.cli.terminal.words import shown, span
from roark_ops.console.access.door import COOKIE, DoorShut, Visitor
from roark_ops.console.access.forms import FormRefused, read_form, set_cookie
from roark_ops.console.access.sessions import same
from roark_ops.console.backstage import Backstage

logger = logging.getLogger(__name__)


class Signing:
    """The pages before the door."""

    def __init__(self, stage: Backstage) -> None:
        self._stage = stage

    async def page(self, request: Request) -> Response:
        """Ask for name and password."""
        if not self._stage.door.asks_for_passwords:
            return RedirectResponse(self._stage.link("/"), 303)
        return self._form(request.query_params.get("next", ""))

    async def sign_in(self, request: Request) -> Response:
        """Begin a session, or say no; the more often, the slower."""
        stage = self._stage
        try:
            form = await read_form(stage.door, request)
        except FormRefused as error:
            return self._form("", error.why, error.status)
        # A password counts as long as it is: a part of it would be another one.
        name, following, password = str(form.get("name", ""))[:256], str(form.get("next", "")), form.get("password", "")
        address = stage.door.address_of(request)
        keys = (f"name {name.casefold()}", f"address {address}")
        if wait := stage.slowing.wait_seconds(*keys):
            told = f"Too many failed attempts. Try again in {span(math.ceil(wait))}."
            return self._form(following, told, 429, {"Retry-After": str(math.ceil(wait))})
        # Noted before it is known: many tries at once would all be the first one otherwise.
        stage.slowing.fail(*keys)
        try:
            visitor = await run_in_threadpool(stage.door.sign_in, name, password)
        except IngestError as error:
            return self._form(following, str(error), 503)
        if visitor is None:
            event(logger, "sign_in_failed", level=logging.WARNING, user=shown(name), address=address)
            return self._form(following, "Name and password do not match.", 403)
        stage.slowing.forget(*keys)
        # What this browser held until now is over.
        stage.door.sign_out(request)
        event(logger, "signed_in", user=visitor.name, role=visitor.role.word, address=address)
        response: Response = RedirectResponse(self._inside(following), 303)
        set_cookie(stage.door, request, response, visitor.cookie, path=stage.prefix)
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        visitor: Visitor | None = None
        try:
            form = await read_form(self._stage.door, request)
            visitor = self._stage.door.visitor(request, is_activity=False)
        except (FormRefused, DoorShut):
            return self._form("", "Nothing was done.", 403)
        if visitor and same(str(form.get("token", "")), visitor.token):
            self._stage.door.sign_out(request)
        response = RedirectResponse(self._stage.link("/signin"), 303)
        response.delete_cookie(COOKIE, path=self._stage.prefix or "/")
        return response

    def _form(
        self, following: str, told: str = "", status: int = 200, headers: dict[str, str] | None = None
    ) -> Response:
        values = {"told": told, "following": self._inside(following)}
        return HTMLResponse(self._stage.templates.render("signin.html", self._stage, values), status, headers)

    def _inside(self, following: str) -> str:
        # Only to a page of ours: anything else would lead people astray after they signed in.
        home = self._stage.link("/")
        try:
            parts = split_url(following)
        except ValueError:
            return home
        inside = following.startswith(f"{self._stage.prefix}/") and not following.startswith(("//", "/\\"))
        is_plain = not (parts.scheme or parts.netloc) and "\\" not in following and following.isprintable()
        return following if inside and is_plain else home

"""What a page gets: who asks, for what; and how it answers."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import FormData, QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from roark_ops.console.access.door import Visitor
from roark_ops.console.access.roles import Role
from roark_ops.console.backstage import Backstage
from roark_ops.desk.acting import acting

FormPairs = FormData | QueryParams


class NotThere(Exception):
    """There is no such thing, any more; says what, and what to do."""


class Ask:
    """One request of somebody who may make it."""

    def __init__(self, request: Request, stage: Backstage, visitor: Visitor, form: FormPairs) -> None:
        self.request = request
        self.stage = stage
        self.visitor = visitor
        self.query = request.query_params
        self.form = form

    @property
    def is_part(self) -> bool:
        """Whether only the part of the page is wanted that changes."""
        return "part" in self.query

    @property
    def path(self) -> str:
        """This page's path, without the prefix."""
        return str(self.request.scope["path"])

    def may(self, role: Role) -> bool:
        """Whether who asks has this role."""
        return self.visitor.role >= role

    def actor(self) -> str:
        """Return who acts, for the log: the user of Redis, and who is signed in."""
        return acting(self.stage.ledger, self.visitor.name)

    def page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """Answer with a page."""
        found = {"ask": self, "visitor": self.visitor, "Role": Role, **values}
        return HTMLResponse(self.stage.templates.render(template, self.stage, found), status)

    def go(self, path: str, **query: str | int) -> Response:
        """Send the browser on, so that loading the page again repeats nothing."""
        return RedirectResponse(self.stage.link(path, **query), 303)

    def url(self, **changed: object) -> str:
        """Return this page's address with other parameters; None takes one away."""
        pairs = [(name, value) for name, value in self.query.multi_items() if name not in changed and name != "part"]
        pairs += [(name, str(value)) for name, value in changed.items() if value is not None]
        return f"{self.stage.prefix}{self.path}{'?' if pairs else ''}{urlencode(pairs)}"

    def number(self, name: str, *, source: Mapping[str, Any] | None = None) -> int:
        """Return a whole number that was asked for. Raises NotThere where there is none."""
        text = str((self.query if source is None else source).get(name, ""))
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            raise NotThere(f"{name} has to be a number.")
        return int(text)

    def text(self, name: str, most: int = 500) -> str:
        """Return a line of the form."""
        found = self.form.get(name, "")
        return found.strip()[:most] if isinstance(found, str) else ""

"""Every page and every deed of the console, each with the role that it takes. A test walks all with every role."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from starlette.responses import Response

from roark_ops.console.access.roles import Role
from roark_ops.console.ask import Ask
from roark_ops.console.deeds import VERBS
from roark_ops.console.pages import (
    acting,
    call,
    causes,
    editing,
    health,
    log,
    now,
    receipts,
    rejected,
    replays,
    reports,
    uploads,
)

Handler = Callable[[Ask], Response]


@dataclass(frozen=True, slots=True)
class ConsoleRoute:
    """A path, how it is asked for, who may, and what answers. A deed takes POST, and changes something."""

    path: str
    handler: Handler
    role: Role
    is_deed: bool = False


def _pages() -> Iterator[ConsoleRoute]:
    viewer, operator = Role.VIEWER, Role.OPERATOR
    yield ConsoleRoute("/", now.page, viewer)
    yield ConsoleRoute("/curves", now.curves, viewer)
    yield ConsoleRoute("/causes", causes.page, viewer)
    yield ConsoleRoute("/reports", reports.page, viewer)
    yield ConsoleRoute("/reports/count", reports.count, viewer)
    yield ConsoleRoute("/call", call.page, viewer)
    yield ConsoleRoute("/replays", replays.page, viewer)
    yield ConsoleRoute("/replay", replays.job, viewer)
    yield ConsoleRoute("/replay.md", replays.report, viewer)
    yield ConsoleRoute("/rejected", rejected.page, viewer)
    yield ConsoleRoute("/uploads", uploads.page, viewer)
    yield ConsoleRoute("/receipts", receipts.page, viewer)
    yield ConsoleRoute("/log", log.page, viewer)
    yield ConsoleRoute("/health", health.page, viewer)
    yield ConsoleRoute("/health/checks", health.checks, viewer)
    yield ConsoleRoute("/selection", acting.page, operator)


def _deeds() -> Iterator[ConsoleRoute]:
    operator = Role.OPERATOR
    for verb in VERBS.values():
        yield ConsoleRoute(f"/freeze/{verb.name}", acting.freezing(verb), verb.role, is_deed=True)
        yield ConsoleRoute(f"/go/{verb.name}", acting.going(verb), verb.role, is_deed=True)
    yield ConsoleRoute("/edit/preview", editing.preview, operator, is_deed=True)
    yield ConsoleRoute("/replay/pause", replays.changing("pause"), operator, is_deed=True)
    yield ConsoleRoute("/replay/resume", replays.changing("resume"), operator, is_deed=True)
    yield ConsoleRoute("/replay/cancel", replays.changing("cancel"), operator, is_deed=True)
    yield ConsoleRoute("/uploads/hold", uploads.hold, operator, is_deed=True)
    yield ConsoleRoute("/uploads/resume", uploads.resume, operator, is_deed=True)
    yield ConsoleRoute("/uploads/route", uploads.switch, operator, is_deed=True)
    yield ConsoleRoute("/receipts/compare", receipts.compare, operator, is_deed=True)
    yield ConsoleRoute("/receipts/backfill", receipts.backfill, operator, is_deed=True)
    yield ConsoleRoute("/call/reveal", call.reveal, operator, is_deed=True)
    yield ConsoleRoute("/rejected/reveal", rejected.reveal, operator, is_deed=True)


ROUTES = (*_pages(), *_deeds())

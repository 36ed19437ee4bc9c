"""*Log*: who did what, when, why?"""

import re
import shlex
from itertools import islice

from starlette.responses import Response

from roark_ledger.records.logbook import Action
from roark_ops.cli.terminal.running import Misused
from roark_ops.cli.terminal.since import moment_of
from roark_ops.cli.views.log import deed_told
from roark_ops.console.ask import Ask
from roark_ops.desk.logbook import Logbook, Wanted

_PER_PAGE = 100
_PLACE = re.compile(r"\d{1,20}-\d{1,20}")
_FIELDS = ("since", "by", "action", "call")


def page(ask: Ask) -> Response:
    """Answer with a page of the logbook, the newest first."""
    snapshot = ask.stage.live.now().snapshot
    given = {name: ask.query.get(name, "").strip()[:200] for name in _FIELDS}
    after = ask.query.get("after", "")
    error, since_ms = "", 0
    try:
        since_ms = moment_of(given["since"], snapshot.now_ms, "--since") if given["since"] else 0
    except Misused as misused:
        error = str(misused)
    wanted = Wanted(since_ms, given["by"], given["action"], given["call"])
    newest = Logbook(ask.stage.ledger).newest(wanted, after=after if _PLACE.fullmatch(after) else "")
    found = [] if error else list(islice(newest, _PER_PAGE + 1))
    options = " ".join(f"--{name} {shlex.quote(value)}" for name, value in given.items() if value)
    return ask.page(
        "log_part.html" if ask.is_part else "log.html",
        deeds=found[:_PER_PAGE],
        following=found[_PER_PAGE - 1].place if len(found) > _PER_PAGE else "",
        given=given,
        error=error,
        actions=sorted(action.value for action in Action),
        told=deed_told,
        total=snapshot.logbook_lines,
        now_ms=snapshot.now_ms,
        command=f"roark-ingest log list {options}".strip(),
    )

"""How pages are written: Jinja templates, everything escaped, and the words in which numbers and times are told.

Text from outside goes through `shown` first: on one line, bounded, secrets and phone numbers masked.
"""

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from roark_ledger.logs import masked_text
from roark_ledger.records.screen import uploads, uploads_are
from roark_ops.cli.terminal.words import ago, counted, iso, moment, one_line, shown, span

if TYPE_CHECKING:
    from roark_ops.console.backstage import Backstage

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"
# Two looks a moment apart do not agree on now.
_SLACK_MS = 5_000
_COMMAND = re.compile(r"`([^`]+)`")


class Templates:
    """Renders templates."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters |= {
            "number": number,
            "shown": shown,
            "span": span,
            "iso": iso,
            "share": share,
            "coded": coded,
            "whole": whole,
        }
        self._environment.globals |= {
            "counted": exactly,
            "plural": counted,
            "uploads": uploads,
            "uploads_are": uploads_are,
            "asset": asset,
            "when": when,
            "ago": ago,
        }

    def render(self, template: str, stage: "Backstage", values: dict[str, Any]) -> str:
        """Return a page."""
        return self._environment.get_template(template).render(stage=stage, link=stage.link, **values)


def number(value: float) -> str:
    """Return a number as people read it, exactly: `18 432`, with blanks that do not break."""
    return f"{value:,}".replace(",", "\u202f") if isinstance(value, int) else f"{value:,.1f}".replace(",", "\u202f")


def exactly(value: int, noun: str) -> str:
    """Return `18 432 reports`."""
    return f"{number(value)} {noun}{'' if value == 1 else 's'}"


def share(part: int, whole: int) -> str:
    """Return a share in percent, "" of nothing."""
    return f"{part / whole:.0%}" if whole else ""


def when(ms: int, now_ms: int) -> Markup:
    """Return a time for a person: exactly, with its zone, and how long ago."""
    if not ms:
        return Markup("")
    since = ago(ms, now_ms if now_ms < ms - _SLACK_MS else max(now_ms, ms))
    # Figures and words of ours: nothing to escape.
    return Markup(f'<time datetime="{iso(ms)}">{moment(ms)} <span class="ago">{since}</span></time>')  # noqa: S704


def whole(text: str) -> str:
    """Return text from outside in its whole length, on one line, with secrets and phone numbers masked."""
    return masked_text(one_line(text))


def coded(text: str) -> Markup:
    """Return text in which what stands between backticks is shown as a command."""
    return Markup(_COMMAND.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 the text is escaped


@cache
def asset(name: str) -> str:
    """Return a file's address below the prefix; another one for other content, so that browsers may keep it."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"
